import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { KeyFiles, type KeyRegistry, type KeyFilesOptions } from '../../src/identity/public-keys.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { mintEc } from './fixtures.ts'

interface Watched {
  readonly files: KeyFiles
  readonly changes: KeyRegistry[]
  readonly faults: string[]
}

const watched = async (values: string[], options: KeyFilesOptions = {}): Promise<Watched> => {
  const [changes, faults]: [KeyRegistry[], string[]] = [[], []]
  const files = new KeyFiles(values, {
    pollMs: 20,
    onChange: registry => changes.push(registry),
    onFault: fault => faults.push(fault.message),
    ...options,
  })
  await files.start()
  changes.length = 0
  onCleanUp(() => files.close())
  return { files, changes, faults }
}

const filled = async (): Promise<{ directory: string; a: string; b: string; kidA: string; kidB: string }> => {
  const directory = tempDir()
  const [a, b] = [join(directory, 'a.crt'), join(directory, 'b.crt')]
  const [pairA, pairB] = [await mintEc('lan-a'), await mintEc('lan-b')]
  writeFileSync(a, pairA.certificatePem)
  writeFileSync(b, pairB.certificatePem)
  return { directory, a, b, kidA: pairA.thumbprint, kidB: pairB.thumbprint }
}

describe('key files', () => {
  test('that leave their directory are out of force within 2 s at the usual pace', async () => {
    const { directory, a, kidA, kidB } = await filled()
    const changes: KeyRegistry[] = []
    const files = new KeyFiles([directory], { onChange: registry => changes.push(registry) })
    onCleanUp(() => files.close())
    const before = await files.start()
    rmSync(a)
    await until(() => changes.length === 2, { what: 'the key to go' })
    expect(before.allows(kidA, 'lan-a')).toBe(true)
    expect(files.registry.get(kidA)).toBeUndefined()
    expect(files.registry.allows(kidA, 'lan-a')).toBe(false)
    expect(files.registry.allows(kidB, 'lan-b')).toBe(true)
    expect(files.faults).toEqual([])
  })

  test('that come into their directory are in force, also after it was empty', async () => {
    const directory = tempDir()
    const { files, changes } = await watched([directory])
    expect(files.registry.size).toBe(0)
    const pair = await mintEc('lan-c')
    writeFileSync(join(directory, 'c.crt'), pair.certificatePem)
    await until(() => changes.length > 0)
    expect(files.registry.allows(pair.thumbprint, 'lan-c')).toBe(true)
  })

  test('that break are reported once and keep the others in force', async () => {
    const { directory, a, kidA, kidB } = await filled()
    const { files, changes, faults } = await watched([directory])
    writeFileSync(a, 'broken')
    await until(() => changes.length > 0)
    expect(files.registry.get(kidA)).toBeUndefined()
    expect(files.registry.get(kidB)).toBeDefined()
    writeFileSync(a, 'broken again')
    const pair = await mintEc('lan-c')
    writeFileSync(join(directory, 'c.crt'), pair.certificatePem)
    await until(() => changes.length > 1)
    expect(files.registry.size).toBe(2)
    expect(faults).toEqual([expect.stringMatching(/a\.crt: no PEM block found/)])
    expect(files.faults).toHaveLength(1)
  })

  test('that are broken for one look only, such as half written ones, lose nothing', async () => {
    const { directory, a, kidA, kidB } = await filled()
    const text = readFileSync(a, 'utf8')
    let looks = 0
    // every reading of a certificate asks for the time, so a look that found the broken file has asked once, for the other one
    const { files, changes, faults } = await watched([directory], { pollMs: 250, now: () => (looks++, Date.now()) })
    const before = files.registry
    writeFileSync(a, text.slice(0, 100))
    const seen = looks
    await until(() => looks > seen + 1)
    writeFileSync(a, text)
    const pair = await mintEc('lan-c')
    writeFileSync(join(directory, 'c.crt'), pair.certificatePem)
    await until(() => files.registry.get(pair.thumbprint))
    expect(before.size).toBe(2)
    expect([kidA, kidB].every(kid => files.registry.get(kid))).toBe(true)
    expect(changes.every(registry => registry.get(kidA) !== undefined)).toBe(true)
    expect(faults).toEqual([])
  })

  test('that are named and vanish are reported, and are back in force when they are back', async () => {
    const { a, b, kidA } = await filled()
    const { files, changes, faults } = await watched([a, b])
    renameSync(a, `${a}.away`)
    await until(() => changes.length === 1)
    expect(files.registry.get(kidA)).toBeUndefined()
    expect(faults).toEqual([expect.stringMatching(/a\.crt: .*ENOENT/)])
    renameSync(`${a}.away`, a)
    await until(() => changes.length === 2)
    expect(files.registry.get(kidA)).toBeDefined()
    expect(files.faults).toEqual([])
  })

  test('that are replaced by rename give way to the new key at once', async () => {
    const { a, kidA } = await filled()
    const { files, changes } = await watched([`lan-a=${a}`])
    const pair = await mintEc('x')
    writeFileSync(`${a}.new`, pair.certificatePem)
    renameSync(`${a}.new`, a)
    await until(() => changes.length > 0)
    expect(changes).toHaveLength(1)
    expect(files.registry.get(kidA)).toBeUndefined()
    expect(files.registry.get(pair.thumbprint)?.identifiers).toEqual(['lan-a'])
  })

  test('behind a symlink that is swapped, as in a Kubernetes volume, are read anew', async () => {
    const root = tempDir()
    const [one, two] = [await mintEc('lan-a'), await mintEc('lan-b')]
    for (const [name, pair] of [
      ['..1', one],
      ['..2', two],
    ] as const) {
      mkdirSync(join(root, name))
      writeFileSync(join(root, name, 'a.crt'), pair.certificatePem)
    }
    symlinkSync('..1', join(root, '..data'))
    symlinkSync('..data/a.crt', join(root, 'a.crt'))
    const { files, changes } = await watched([root])
    expect(files.registry.allows(one.thumbprint, 'lan-a')).toBe(true)
    symlinkSync('..2', join(root, '..new'))
    renameSync(join(root, '..new'), join(root, '..data'))
    await until(() => changes.length > 0)
    expect([...files.registry].map(key => key.kid)).toEqual([two.thumbprint])
  })

  test('lose a certificate when it expires', async () => {
    const { directory } = await filled()
    let now = Date.now()
    const { files, changes, faults } = await watched([directory], { now: () => now })
    expect(files.registry.size).toBe(2)
    now += 400 * 86_400_000
    await until(() => changes.length > 0)
    expect(files.registry.size).toBe(0)
    expect(faults).toEqual([expect.stringMatching(/expired at/), expect.stringMatching(/expired at/)])
  })

  test('that are touched without a change call nobody', async () => {
    const { directory, a } = await filled()
    const { files, changes } = await watched([directory])
    writeFileSync(a, readFileSync(a))
    const pair = await mintEc('lan-c')
    writeFileSync(join(directory, 'c.crt'), pair.certificatePem)
    await until(() => changes.length > 0)
    expect(changes).toHaveLength(1)
    expect(files.registry.size).toBe(3)
  })

  test('tell every subscriber, until it leaves or the files are closed', async () => {
    const { directory, a, b } = await filled()
    const { files, changes } = await watched([directory])
    const heard: number[] = []
    const leave = files.onChange(registry => heard.push(registry.size))
    rmSync(a)
    await until(() => changes.length === 1)
    leave()
    rmSync(b)
    await until(() => changes.length === 2)
    expect(heard).toEqual([1])
    await files.close()
    await files.close()
  })
})
