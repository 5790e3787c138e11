import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { createLog } from '../../src/telemetry/log.ts'
import { LogFile, type LogFileOptions } from '../../src/telemetry/log-file.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

interface Opened {
  readonly file: LogFile
  readonly path: string
  readonly faults: readonly string[]
}

const openLog = async (options: Partial<LogFileOptions> = {}): Promise<Opened> => {
  const path = options.path ?? join(tempDir(), 'gateway.log')
  const faults: string[] = []
  const defaults = { path, maxBytes: 1e9, maxAgeMs: 1e9, maxFiles: 100, nowMs: Date.now, onFault: (text: string) => faults.push(text) }
  const file = new LogFile({ ...defaults, ...options })
  await file.open()
  onCleanUp(() => file.close())
  return { file, path, faults }
}

/** Old files, the oldest first, and the current one. */
const filesOf = (path: string): string[] =>
  readdirSync(dirname(path))
    .filter(name => name !== basename(path))
    .sort()
    .concat(basename(path))

const linesOf = (path: string): string[] =>
  filesOf(path)
    .flatMap(name => readFileSync(join(dirname(path), name), 'utf8').split('\n'))
    .filter(line => line !== '')

describe('a log file', () => {
  test('is rotated by size, and a rotation loses and doubles no line', async () => {
    let now = 1_700_000_000_000
    const { file, path } = await openLog({ maxBytes: 10_000, nowMs: () => now++ })
    const log = createLog({ level: 'info', format: 'json', destination: file })
    for (let i = 0; i < 5_000; i++) {
      log.write(`{"access":${i}}\n`)
      if (i % 50 === 0) log.info({ i }, 'said')
      if (i % 500 === 0) await log.flush()
    }
    await log.flush()
    const lines = linesOf(path).map(line => JSON.parse(line) as { access?: number; i?: number })
    expect(lines.flatMap(({ access }) => access ?? [])).toEqual(Array.from({ length: 5_000 }, (_, i) => i))
    expect(lines.filter(({ i }) => i !== undefined)).toHaveLength(100)
    const names = filesOf(path)
    expect(names.length).toBeGreaterThan(3)
    for (const name of names.slice(0, -1)) expect(name).toMatch(/^gateway-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log$/)
  })

  test('keeps only so many old files, and no file of somebody else', async () => {
    let now = 1_700_000_000_000
    const path = join(tempDir(), 'gateway.log')
    writeFileSync(join(dirname(path), 'gateway-notes.log'), 'mine')
    const { file } = await openLog({ path, maxBytes: 10, maxFiles: 2, nowMs: () => (now += 1_000) })
    for (let i = 0; i < 6; i++) {
      file.write(`line ${i} of the log\n`)
      await file.flush()
    }
    await until(() => filesOf(path).length === 4)
    expect(linesOf(path).slice(0, -1)).toEqual(['line 3 of the log', 'line 4 of the log', 'mine'])
    expect(readFileSync(path, 'utf8')).toBe('line 5 of the log\n')
  })

  test('is rotated by age', async () => {
    let now = Date.now()
    const { file, path } = await openLog({ maxAgeMs: 3_600_000, nowMs: () => now })
    file.write('today\n')
    await file.flush()
    now += 3_599_000
    file.write('still today\n')
    await file.flush()
    expect(filesOf(path)).toHaveLength(1)
    now += 2_000
    file.write('tomorrow\n')
    await file.flush()
    expect(filesOf(path)).toHaveLength(2)
    expect(readFileSync(path, 'utf8')).toBe('tomorrow\n')
  })

  test('is continued where it was', async () => {
    const path = tempFile('gateway.log', 'before\n')
    const { file } = await openLog({ path })
    file.write('after\n')
    await file.flush()
    expect(readFileSync(path, 'utf8')).toBe('before\nafter\n')
  })

  test('that somebody else has moved away is made anew', async () => {
    let now = Date.now()
    const { file, path } = await openLog({ nowMs: () => now })
    file.write('one\n')
    await file.flush()
    renameSync(path, `${path}.moved`)
    now += 6_000
    file.write('two\n')
    await file.flush()
    expect([readFileSync(`${path}.moved`, 'utf8'), readFileSync(path, 'utf8')]).toEqual(['one\n', 'two\n'])
  })

  test('that cannot be opened is an error that names it', async () => {
    const folder = tempDir()
    await expect(openLog({ path: folder })).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
      message: expect.stringMatching(new RegExp(`^--log-file ${folder}: .*EISDIR`)),
    })
    await expect(openLog({ path: join(folder, 'none', 'gateway.log') })).rejects.toThrow(/ENOENT/)
  })

  test('on a full disk says so once, keeps the lines, and writes them when there is room', async () => {
    const path = join(tempDir(), 'gateway.log')
    symlinkSync('/dev/full', path)
    const { file, faults } = await openLog({ path })
    for (let i = 0; i < 3; i++) {
      file.write(`line ${i}\n`)
      await file.flush()
    }
    expect(faults).toEqual([
      expect.stringMatching(/^the log file .*gateway\.log cannot be written: .*ENOSPC.*; lines wait in memory, up to 16 MiB$/),
    ])
    rmSync(path)
    await until(() => faults.length === 2)
    expect(faults[1]).toMatch(/gateway\.log can be written again$/)
    await file.flush()
    expect(readFileSync(path, 'utf8')).toBe('line 0\nline 1\nline 2\n')
  })

  test('on a disk that stays full drops what does not fit into memory, and counts it', async () => {
    const path = join(tempDir(), 'gateway.log')
    symlinkSync('/dev/full', path)
    const { file, faults } = await openLog({ path })
    const line = `${'x'.repeat(1_048_575)}\n`
    for (let i = 0; i < 20; i++) file.write(line)
    await until(() => faults.length === 1)
    rmSync(path)
    await until(() => faults.length === 2)
    expect(faults[1]).toMatch(/can be written again; 4 pieces of it are lost$/)
    // Not `flush`, which has its time.
    await until(() => readFileSync(path).length === 16 * 1_048_576, { what: '16 MiB' })
  })

  test('that cannot be rotated grows, and says so', async () => {
    const path = join(tempDir(), 'gateway.log')
    // A folder in the place of the old file: also root cannot rename a file onto it.
    const now = 1_700_000_000_000
    mkdirSync(join(dirname(path), 'gateway-2023-11-14T22-13-20.000.log'))
    const { file, faults } = await openLog({ path, maxBytes: 10, nowMs: () => now })
    for (const line of ['a long first line\n', 'a long second line\n', 'a third\n']) {
      file.write(line)
      await file.flush()
    }
    expect(faults).toEqual([expect.stringMatching(/cannot be rotated: .*; it grows until it can be$/)])
    expect(readFileSync(path, 'utf8')).toBe('a long first line\na long second line\na third\n')
  })
})
