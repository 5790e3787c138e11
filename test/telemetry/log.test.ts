import { execFileSync, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { GatewayError } from '../../src/errors.ts'
import { createLog, silentLog, type Log, type LogOptions } from '../../src/telemetry/log.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const NOW = new Date('2026-11-21T12:34:56.789Z')

const written = (use: (log: Log) => void, options: Partial<LogOptions> = {}): string => {
  let text = ''
  const log = createLog({ level: 'info', format: 'json', destination: { write: line => (text += line) }, now: () => NOW, ...options })
  use(log)
  return text
}
const objects = (text: string): unknown[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as unknown)

describe('a json log', () => {
  test('writes one object a line, with time, level as a word, fields and message', () => {
    const text = written(log => {
      log.info({ port: 3000 }, 'ready')
      log.warn({}, 'two\nlines')
    })
    expect(objects(text)).toEqual([
      { level: 'info', time: NOW.toISOString(), port: 3000, msg: 'ready' },
      { level: 'warn', time: NOW.toISOString(), msg: 'two\nlines' },
    ])
  })

  test.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ] as const)('of level %s says %j', (level, said) => {
    const levels = ['debug', 'info', 'warn', 'error'] as const
    const text = written(log => levels.forEach(each => log[each]({}, each)), { level })
    expect(objects(text).map(line => (line as { msg: string }).msg)).toEqual(said)
    expect(written(log => levels.forEach(each => log.isEnabled(each) && log.write(each)), { level })).toBe(said.join(''))
  })

  test('adds the fields of a child to each of its messages', () => {
    const text = written(log => log.child({ session: 7 }).child({ kid: 'x' }).info({ a: 1 }, 'm'))
    expect(objects(text)).toEqual([expect.objectContaining({ session: 7, kid: 'x', a: 1 })])
  })

  test('has code, message and causes of an error, and the stack only of one that was not expected', () => {
    const expected = new GatewayError('AUTH', 'nope', { cause: new GatewayError('CALM', 'why') })
    const lines = objects(
      written(log => {
        log.error({ err: expected }, 'm')
        log.error({ err: new Error('boom') }, 'm')
        log.error({ err: new GatewayError('INTERNAL', 'boom') }, 'm')
        log.error({ err: 'text' }, 'm')
      }),
    ) as { err: { stack?: string } }[]
    expect(lines[0]?.err).toEqual({ code: 'AUTH', message: 'nope', cause: { code: 'CALM', message: 'why' } })
    expect(lines[1]?.err).toEqual({ message: 'boom', stack: expect.stringContaining('Error: boom\n') })
    expect(lines[2]?.err.stack).toContain('boom\n')
    expect(lines[3]?.err).toBe('text')
    const debug = objects(written(log => log.error({ err: expected }, 'm'), { level: 'debug' })) as { err: { stack?: string } }[]
    expect(debug[0]?.err.stack).toContain('nope\n')
  })

  test('never has the value of a field that is named like a secret', () => {
    const text = written(log => {
      log.info(
        { authorization: 'S3', headers: { Cookie: 'S3', 'Set-Cookie': ['S3'], accept: 'ok' }, token: 'S3', privateKeyPem: 'S3' },
        'm',
      )
      log.info({ request: { headers: { 'PROXY-AUTHORIZATION': 'S3' } } }, 'm')
      log.info({ rawHeaders: ['Host', 'ok', 'authorization', 'S3', 'X-Api-Key', 'S3'] }, 'm')
      log.child({ jwt: 'S3' }).info({}, 'm')
    })
    expect(text).not.toContain('S3')
    expect(objects(text)).toMatchObject([
      { authorization: '***', headers: { Cookie: '***', 'Set-Cookie': '***', accept: 'ok' }, token: '***' },
      { request: { headers: { 'PROXY-AUTHORIZATION': '***' } } },
      { rawHeaders: ['Host', 'ok', 'authorization', '***', 'X-Api-Key', '***'] },
      { jwt: '***' },
    ])
  })

  test('does not change the fields that it is given', () => {
    const fields = { headers: { cookie: 'S3' } }
    written(log => log.info(fields, 'm'))
    expect(fields.headers.cookie).toBe('S3')
  })

  test('survives fields that refer to themselves and big integers', () => {
    const loop: Record<string, unknown> = { big: 10n }
    loop['self'] = loop
    expect(objects(written(log => log.info({ loop }, 'm')))).toHaveLength(1)
  })
})

describe('a log on a file descriptor', () => {
  const file = (): { path: string; fd: number } => {
    const path = join(tempDir(), 'log')
    return { path, fd: openSync(path, 'w') }
  }

  test.each(['json', 'pretty'] as const)('in format %s has every line after a flush', async format => {
    const { path, fd } = file()
    const log = createLog({ level: 'info', format, destination: fd })
    for (let i = 0; i < 5000; i++) log.info({ i }, 'line')
    await log.flush()
    const lines = readFileSync(path, 'utf8').split('\n')
    expect(lines).toHaveLength(5001)
    expect(lines[4999]).toContain('4999')
    await log.flush()
    closeSync(fd)
  })

  test('has each line without any flush', async () => {
    const { path, fd } = file()
    createLog({ level: 'info', format: 'json', destination: fd }).info({}, 'soon')
    await until(() => readFileSync(path, 'utf8').includes('soon'))
  })

  test('has every line when the process exits after a flush', () => {
    const program = `
      import { createLog } from ${JSON.stringify(new URL('../../src/telemetry/log.ts', import.meta.url).href)}
      const log = createLog({ level: 'info', format: 'json', destination: 1 })
      for (let i = 0; i < 1000; i++) log.info({ i }, 'line')
      void log.flush().then(() => process.exit(0))`
    const output = execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], { encoding: 'utf8' })
    expect(output.split('\n')).toHaveLength(1001)
  })

  test('goes on when nobody reads it any more', async () => {
    const program = `
      import { createLog } from ${JSON.stringify(new URL('../../src/telemetry/log.ts', import.meta.url).href)}
      const log = createLog({ level: 'info', format: 'json', destination: 1 })
      process.stdin.once('data', async () => {
        for (let i = 0; i < 100; i++) { log.info({ i }, 'line'); await log.flush() }
        process.exit(7)
      })`
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] })
    child.stdout?.destroy()
    child.stdin?.write('go\n')
    const code = await new Promise(resolve => child.once('exit', resolve))
    expect(code).toBe(7)
  })
})

describe('a pretty log', () => {
  const line = (use: (log: Log) => void, options: Partial<LogOptions> = {}): string => written(use, { format: 'pretty', ...options })

  test('has time, level, message and the fields that the message does not say', () => {
    const text = line(log => log.warn({ port: 3000, reason: 'no such key', host: 'a.b' }, 'refused on port 3000'))
    expect(text).toMatch(/^\d\d:\d\d:56\.789 WARN {2}refused on port 3000 reason="no such key" host=a\.b\n$/)
  })

  test('leaves out a field whose value is a word of the message further on', () => {
    const text = line(log => log.info({ port: 3001, targets: 1, keys: 3 }, 'ready: port 3001, 1 target'))
    expect(text).toMatch(/INFO {2}ready: port 3001, 1 target keys=3\n$/)
  })

  test('has colours only when it is told to', () => {
    expect(line(log => log.info({ a: 1 }, 'm'))).not.toContain('\x1b')
    expect(line(log => log.info({ a: 1 }, 'm'), { color: true })).toContain('\x1b[')
  })

  test('lets no control character of a message or a field through', () => {
    const text = line(log => log.info({ evil: 'a\u001b[2J\nb\u009b\u202e', 'k\n': 1 }, 'm\r\nERROR forged\u2028'))
    expect(text.trimEnd()).toMatch(/^[\x20-\x7e]+$/)
  })

  test('has errors with their code, and the stack of unexpected ones', () => {
    expect(line(log => log.error({ err: new GatewayError('AUTH', 'wrong nonce') }, 'refused'))).toMatch(
      /ERROR refused: wrong nonce \(AUTH\)\n$/,
    )
    expect(line(log => log.error({ err: new Error('boom') }, 'fault'))).toMatch(/ERROR fault: boom\n {4}at .*\n/)
  })

  test('censors secrets too', () => {
    expect(line(log => log.info({ headers: { cookie: 'S3' } }, 'm'))).toContain('{"cookie":"***"}')
  })
})

test('the silent log says nothing and has nothing to flush', async () => {
  expect(silentLog.isEnabled('error')).toBe(false)
  silentLog.child({}).error({}, 'm')
  await expect(silentLog.flush()).resolves.toBeUndefined()
})
