import { readdirSync, readFileSync, statSync, writeFileSync, chmodSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from '@jest/globals'
import { RecordStore } from '../../src/inspector/disk/record-store.ts'
import { fileKey, seal, unseal } from '../../src/inspector/disk/sealed-file.ts'
import type { Inspector } from '../../src/inspector/inspector.ts'
import { cleanUp } from '../support/cleanup.ts'
import { tempDir } from '../support/temp.ts'
import { testInspector } from './support.ts'

afterEach(cleanUp)

const HOUR_MS = 3_600_000

function storeOf(
  inspector: Inspector,
  folder: string,
  more: { maxBytes?: number; nowMs?: () => number; faults?: string[] } = {},
): RecordStore {
  const { maxBytes = 100_000_000, nowMs = Date.now, faults = [] } = more
  return new RecordStore(inspector, { folder, hours: 24, maxBytes, nowMs, onFault: message => void faults.push(message) })
}

function exchange(inspector: Inspector, path: string, body = '{"n":1,"password":"hidden"}'): void {
  const fields = ['Host', 'a.test', 'Content-Type', 'application/json', 'Authorization', 'Bearer hidden']
  const tap = inspector.open({
    kind: 'http',
    scheme: 'http',
    authority: 'a.test',
    method: 'POST',
    path,
    version: '1.1',
    fields,
    way: { protocol: 'http', hostname: 'h', port: 1 },
  })!
  tap.sent(Buffer.from(body))
  tap.sentEnd([])
  tap.switched('websocket', 'Switching Protocols', [])
  tap.received(Buffer.from([0x81, 5, ...Buffer.from('hello')]))
  tap.end({ error: 'CANCELLED', reason: 'gone' })
}

describe('the key of a service', () => {
  // Files and records are named by their time, so each run has its own.
  let runs = 0
  const [old, fresh] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]

  /** Runs a store for a while, with the keys of a service or its own. @returns the paths that it has found, the oldest first */
  async function run(folder: string, secrets: Buffer | undefined, path?: string): Promise<string[]> {
    const nowMs = (): number => Date.now() + runs * 1_000
    const { inspector } = testInspector({ nowMs })
    const store = storeOf(inspector, folder, { nowMs })
    runs++
    await store.start(secrets)
    const found = [...inspector.newestFirst()].map(({ start }) => start.path).reverse()
    if (path !== undefined) exchange(inspector, path)
    await store.close()
    return found
  }

  test('seals the records, and the folder has none', async () => {
    const folder = join(tempDir(), 'store')
    await run(folder, old, '/one')
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/\.sealed$/)])
    expect(await run(folder, old)).toEqual(['/one'])
    // Whoever has the folder alone, or another key, has nothing.
    expect(await run(folder, fresh)).toEqual([])
    expect(await run(folder, undefined)).toEqual([])
  })

  test('opens what it has sealed before it was rotated, and what the folder’s own key has', async () => {
    const folder = join(tempDir(), 'store')
    await run(folder, undefined, '/own')
    await run(folder, old, '/old')
    expect(await run(folder, Buffer.concat([fresh, old]), '/fresh')).toEqual(['/own', '/old'])
    expect(await run(folder, Buffer.concat([fresh, old]))).toEqual(['/own', '/old', '/fresh'])
    expect(await run(folder, fresh)).toEqual(['/own', '/fresh'])
  })
})

test('records survive a restart, and only ciphertext is on the disk', async () => {
  const folder = join(tempDir(), 'store')
  const { inspector } = testInspector()
  const store = storeOf(inspector, folder)
  await store.start()
  exchange(inspector, '/remarkable')
  await store.close()
  const files = readdirSync(folder)
  expect(files).toEqual(['key', expect.stringMatching(/^requests-\d+\.sealed$/)])
  for (const file of files) {
    expect(statSync(join(folder, file)).mode & 0o077).toBe(0)
    const bytes = readFileSync(join(folder, file)).toString('latin1')
    for (const word of ['remarkable', 'hidden', 'hello', 'a.test']) expect(bytes).not.toContain(word)
  }
  const { inspector: later } = testInspector()
  const second = storeOf(later, folder)
  await second.start()
  const [before] = [...inspector.newestFirst()]
  const [after] = [...later.newestFirst()]
  expect(after!.detail).toEqual(before!.detail)
  expect(after!.requestBody!.held.bytes.toString()).toBe('{"n":1,"password":"***"}')
  expect(after!.messages!.from(0, 10)).toEqual(before!.messages!.from(0, 10))
  // What was read is not written once more.
  const size = later.state.store!.bytes
  await second.close()
  expect(later.state.store!.bytes).toBe(size)
})

test('what is too old goes, and the oldest of what is too much', async () => {
  const folder = tempDir()
  let now = Date.now()
  const nowMs = (): number => now
  const { inspector } = testInspector()
  const store = storeOf(inspector, folder, { nowMs })
  await store.start()
  exchange(inspector, '/old')
  await store.close()
  now += 25 * HOUR_MS
  const { inspector: later } = testInspector()
  const second = storeOf(later, folder, { nowMs })
  await second.start()
  await second.close()
  expect(later.state).toMatchObject({ requests: 0, store: { bytes: 0 } })
})

describe('a key', () => {
  test('that others can read is refused', async () => {
    const folder = tempDir()
    await storeOf(testInspector().inspector, folder).start()
    chmodSync(join(folder, 'key'), 0o644)
    await expect(storeOf(testInspector().inspector, folder).start()).rejects.toMatchObject({ code: 'KEY_INVALID' })
  })

  test('that is another one opens nothing', async () => {
    const folder = tempDir()
    const { inspector } = testInspector()
    const store = storeOf(inspector, folder)
    await store.start()
    exchange(inspector, '/x')
    await store.close()
    writeFileSync(join(folder, 'key'), Buffer.alloc(32, 7))
    const { inspector: later } = testInspector()
    const second = storeOf(later, folder)
    await second.start()
    await second.close()
    expect(later.state.requests).toBe(0)
  })
})

test('a file that was cut off or changed gives what is whole before that', () => {
  const key = fileKey(Buffer.alloc(32), 'x')
  const texts = ['one', 'two', 'three']
  const pieces = texts.map((text, index) => seal(key, index, text))
  const whole = Buffer.concat(pieces)
  expect([...unseal(key, whole)]).toEqual(texts)
  for (let end = 0; end < whole.length; end++) expect(texts.join()).toContain([...unseal(key, whole.subarray(0, end))].join())
  const changed = Buffer.from(whole)
  changed[pieces[0]!.length + 20]! ^= 1
  expect([...unseal(key, changed)]).toEqual(['one'])
  expect([...unseal(key, Buffer.concat([pieces[0]!, pieces[2]!]))]).toEqual(['one'])
})
