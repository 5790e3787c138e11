import { mkdir, mkdtemp, rename, rm, symlink, truncate, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type { ConfigError } from '../../src/config/document/fault.ts'
import { TargetsFile } from '../../src/config/watch.ts'
import type { RouteTable } from '../../src/route/table.ts'
import { until } from '../support/wait.ts'

const good = (name: string): string => `targets:\n  ${name}: {hostname: x}\n`

let directory: string
let file: string
let targets: TargetsFile
let changes: string[]
let faults: ConfigError[]

const namesOf = (table: RouteTable): string => table.targets.map(target => target.name).join()

const watchFile = (which: string): TargetsFile =>
  new TargetsFile(which, { onChange: table => changes.push(namesOf(table)), onFault: error => faults.push(error) })

const soon = (what: () => boolean): Promise<boolean> => until(what)

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'sg-targets-'))
  file = path.join(directory, 'targets.yaml')
  await writeFile(file, good('a'))
  changes = []
  faults = []
  targets = watchFile(file)
})

afterEach(async () => {
  await targets.close()
  await rm(directory, { recursive: true })
})

describe('start', () => {
  test('reads the file', async () => {
    const before = Date.now()
    expect(namesOf(await targets.start())).toBe('a')
    expect(namesOf(targets.table)).toBe('a')
    expect(targets.fault).toBeUndefined()
    expect(targets.loadedAt.getTime()).toBeGreaterThanOrEqual(before)
    expect(targets.loadedAt.getTime()).toBeLessThanOrEqual(Date.now())
  })

  test('refuses a bad file with its faults', async () => {
    await writeFile(file, 'targets: 3\n')
    await expect(targets.start()).rejects.toMatchObject({ code: 'CONFIG_INVALID', faults: [{ file, line: 1 }] })
  })

  test('refuses a file that is not there', async () => {
    await rm(file)
    await expect(targets.start()).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: `${file}: no such file; write one (see targets.example.yaml), check it with: socket-gateway targets check ${file}`,
    })
  })

  test('refuses what is no file, with what the system says of it', async () => {
    await rm(file)
    await mkdir(file)
    await expect(targets.start()).rejects.toMatchObject({ message: expect.stringMatching(/: cannot be read: .*EISDIR/) })
  })
})

describe('a change is in force within a second', () => {
  beforeEach(() => targets.start())

  test('when the file is written in place', async () => {
    const before = targets.loadedAt
    await writeFile(file, good('b'))
    await soon(() => changes.length > 0)
    expect(changes).toEqual(['b'])
    expect(namesOf(targets.table)).toBe('b')
    expect(targets.loadedAt.getTime()).toBeGreaterThan(before.getTime())
  })

  test('when the file is replaced by rename, again and again', async () => {
    for (const name of ['b', 'c', 'd']) {
      await writeFile(`${file}.new`, good(name))
      await rename(`${file}.new`, file)
      await soon(() => changes.at(-1) === name)
    }
    expect(changes).toEqual(['b', 'c', 'd'])
    expect(faults).toEqual([])
  })

  test('when a file of the same size replaces it with the same time of change', async () => {
    const time = new Date('2020-01-01')
    await utimes(file, time, time)
    await writeFile(`${file}.new`, good('b'))
    await utimes(`${file}.new`, time, time)
    await rename(`${file}.new`, file)
    await soon(() => changes.includes('b'))
  })

  test('when the directory is replaced as a whole, which no watch on it survives', async () => {
    await rename(directory, `${directory}-old`)
    await mkdir(directory)
    await writeFile(file, good('b'))
    await soon(() => changes.includes('b'))
    await rm(`${directory}-old`, { recursive: true })
  })

  test('and never one that was written by half', async () => {
    const text = `targets:\n${Array.from({ length: 50 }, (_, i) => `  h${i}: {hostname: x}\n`).join('')}`
    await truncate(file)
    for (let at = 0; at < text.length; at += 100) {
      await writeFile(file, text.slice(at, at + 100), { flag: 'a' })
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    await soon(() => changes.length > 0)
    expect(changes.map(names => names.split(',').length)).toEqual([50])
    expect(faults).toEqual([])
  })
})

test('a symlink that is swapped as Kubernetes does it is followed', async () => {
  const mount = path.join(directory, 'mount')
  for (const version of ['1', '2']) {
    await mkdir(path.join(mount, `..${version}`), { recursive: true })
    await writeFile(path.join(mount, `..${version}`, 'targets.yaml'), good(`v${version}`))
  }
  await symlink('..1', path.join(mount, '..data'))
  await symlink('..data/targets.yaml', path.join(mount, 'targets.yaml'))
  targets = watchFile(path.join(mount, 'targets.yaml'))
  expect(namesOf(await targets.start())).toBe('v1')
  await symlink('..2', path.join(mount, '..data_tmp'))
  await rename(path.join(mount, '..data_tmp'), path.join(mount, '..data'))
  await soon(() => changes.includes('v2'))
})

describe('a bad file', () => {
  beforeEach(() => targets.start())

  test('leaves the last good table in force and is told once', async () => {
    await writeFile(file, 'targets:\n  a: {port: 0}\n')
    await soon(() => faults.length > 0)
    expect(targets.fault?.faults.map(fault => fault.path)).toEqual(
      ['targets.a', 'targets.a'].map((at, i) => `${at}.${['hostname', 'port'][i]}`),
    )
    expect(namesOf(targets.table)).toBe('a')
    await utimes(file, new Date(), new Date())
    await writeFile(file, 'targets:\n  a: {port: 0}\n')
    await writeFile(path.join(directory, 'other'), '')
    await writeFile(file, 'targets: []\n')
    await soon(() => faults.length > 1)
    expect(faults.map(error => error.faults.length)).toEqual([2, 1])
    expect(changes).toEqual([])
  })

  test('that is mended is no fault any more, also when it is what was in force before', async () => {
    await writeFile(file, '{')
    await soon(() => targets.fault !== undefined)
    await writeFile(file, good('a'))
    await soon(() => targets.fault === undefined)
    expect(changes).toEqual(['a'])
  })

  test('may be one that is gone', async () => {
    await rm(file)
    await soon(() => faults.length > 0)
    expect(targets.fault).toMatchObject({ code: 'FILE_UNREADABLE' })
    await writeFile(file, good('b'))
    await soon(() => changes.includes('b'))
    expect(targets.fault).toBeUndefined()
  })
})

test('after close nothing is told, and closing again is fine', async () => {
  await targets.start()
  await writeFile(file, good('b'))
  await targets.close()
  await targets.close()
  const other = watchFile(file)
  await other.start()
  await writeFile(file, good('c'))
  await soon(() => changes.length > 0)
  await other.close()
  expect(changes).toEqual(['c'])
})
