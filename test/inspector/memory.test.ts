/** What the memory of a process has of secrets that its inspector has seen: all of it, byte for byte. */
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { afterEach, expect, test } from '@jest/globals'
import { builtModule } from '../support/built-module.ts'
import { cleanUp, onCleanUp } from '../support/cleanup.ts'
import { once } from '../support/wait.ts'

afterEach(cleanUp)

/**
 * Gets secrets on standard input, each of their bytes turned round, shows them to an inspector, wipes the buffers that were its own (as
 * sockets' are somebody else's), has what is garbage collected and cleared, and writes all of its writable memory to standard output.
 */
const CHILD = String.raw`
import { openSync, readFileSync, readSync, writeSync } from 'node:fs'
const { Inspector } = await import(process.argv[1])
const coded = readFileSync(0)
const inspector = new Inspector({
  layer: 'inner', budgetBytes: 16_000_000, bodyLimitBytes: 1_000_000, clock: () => performance.now(), nowMs: Date.now,
  onFault: thrown => { throw thrown },
})
const SIZE = 32
const plain = Buffer.allocUnsafeSlow(SIZE)
const secret = i => {
  for (let at = 0; at < SIZE; at++) plain[at] = coded[i * SIZE + at] ^ 0xff
  const text = plain.latin1Slice()
  plain.fill(0)
  return text
}
const show = (tap, direction, type, text) => {
  const bytes = Buffer.allocUnsafeSlow(text.length)
  bytes.latin1Write(text)
  // In two pieces, cut in the middle.
  const half = text.length >> 1
  tap[direction](bytes.subarray(0, half))
  tap[direction](bytes.subarray(half))
  bytes.fill(0)
}
const start = (i, type) => ({
  kind: 'http', scheme: 'http', authority: 'a.test', method: 'POST', version: '1.1', path: '/x?token=' + secret(0) + '&visible-path=1',
  fields: ['Authorization', 'Bearer ' + secret(1), 'Cookie', 'sid=' + secret(2), 'X-Api-Key', secret(3), 'Content-Type', type,
    'Referer', 'https://u:' + secret(4) + '@h.test/?sig=' + secret(5)],
})
const bodies = [
  ['application/json', i => JSON.stringify({ shown: 'visible-json', password: i(6), next: 'https://h.test/?code=' + i(7), nested: { token: [i(8)] } })],
  ['application/x-www-form-urlencoded', i => 'shown=visible-form&client_secret=' + i(9)],
  ['text/plain', i => 'shown: visible-text\npassword = ' + i(10) + '\nhttps://u:' + i(11) + '@h.test/'],
  ['application/xml', i => '<a><shown>visible-xml</shown><password>' + i(12) + '</password></a>'],
  ['multipart/form-data; boundary=b', i => '--b\r\nContent-Disposition: form-data; name="token"\r\n\r\n' + i(13) + '\r\n--b--\r\n'],
  ['application/protobuf', i => '\n\x50https://h.test/?key=' + i(14) + '\x10\x01'],
  ['application/x-www-form-urlencoded', i => 'payload=' + encodeURIComponent(JSON.stringify({ shown: 'visible-nested', password: i(16) }))],
  ['text/plain', i => 'visible-line ' + JSON.stringify(JSON.stringify({ pin: i(17), api_key: [i(18)] }))],
  ['text/html', i => '<p data-x="{&quot;shown&quot;:&quot;visible-html&quot;,&quot;secret&quot;:&quot;' + i(19) + '&quot;}">'],
]
function all() {
  for (const [type, text] of bodies) {
    const tap = inspector.open(start(0, type))
    show(tap, 'sent', type, text(secret))
    tap.sentEnd([])
    tap.head(200, 'OK', ['Set-Cookie', 'sid=' + secret(15) + '; Path=/', 'Content-Type', type])
    show(tap, 'received', type, text(secret))
    tap.receivedEnd([])
    tap.end({})
  }
}
all()
const junk = []
for (let round = 0; round < 4; round++) {
  // Memory that was given back is used again, as it is in a process that lives.
  junk.length = 0
  for (let i = 0; i < 20_000; i++) junk.push('junk ' + i + ' '.repeat(i % 64))
  for (let i = 0; i < 2_000; i++) junk.push(Buffer.alloc(64 + (i % 64) * 64))
  junk.length = 0
  gc()
  await new Promise(resolve => setImmediate(resolve))
}
const maps = readFileSync('/proc/self/maps', 'latin1')
const memory = openSync('/proc/self/mem', 'r')
const block = Buffer.allocUnsafeSlow(1 << 20)
for (const line of maps.split('\n')) {
  const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
  if (from === undefined || line.endsWith('[vvar]')) continue
  for (let at = BigInt('0x' + from); at < BigInt('0x' + to); at += BigInt(block.length)) {
    const left = BigInt('0x' + to) - at
    let size = 0
    try { size = readSync(memory, block, 0, Number(left < block.length ? left : block.length), at) } catch { continue }
    for (let sent = 0; sent < size; ) sent += writeSync(1, block, sent, size - sent)
  }
}
if (inspector.state.requests !== 9) throw new Error('not recorded')
`

test('a dump of all memory has what is kept, and none of the secrets', async () => {
  const secrets = Array.from({ length: 20 }, () => randomBytes(16).toString('hex'))
  const module = await builtModule('inspector/inspector.ts')
  const child = spawn(
    process.execPath,
    ['--expose-gc', '--clear-free-memory', '--max-semi-space-size=1', '--input-type=module', '-e', CHILD, module],
    {
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  )
  onCleanUp(() => child.kill('SIGKILL'))
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const pieces: Buffer[] = []
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece))
  child.stdin.end(Buffer.from(secrets.join(''), 'latin1').map(byte => byte ^ 0xff))
  const [code] = (await once(child, 'close')) as [number]
  expect([code, errors]).toEqual([0, ''])
  const memory = Buffer.concat(pieces)
  // As it is written nowhere in the script.
  for (const kept of [
    '{"shown":"visible-json","password":"***","next":"https://h.test/?code=***"',
    'visible-form&client_secret=***',
    '<password>***</password>',
    'visible-nested%22%2C%22password%22%3A%22***%22',
    String.raw`visible-line "{\"pin\":\"***\",\"api_key\":\"***\"}"`,
    'visible-html&quot;,&quot;secret&quot;:&quot;***&quot;',
  ])
    expect([kept, memory.includes(kept)]).toEqual([kept, true])
  expect(secrets.map((secret, i) => (memory.includes(secret) ? i : -1)).filter(i => i >= 0)).toEqual([])
})
