import { describe, expect, test } from '@jest/globals'
import type { CliContext, Input } from '../../src/cli/command/context.ts'
import { askFor } from '../../src/cli/command/prompt.ts'
import { runCli } from '../../src/cli/run-cli.ts'
import { hashPassword, parsePasswordHash, verifyPassword } from '../../src/identity/password-hash.ts'
import { startProcess } from '../support/process.ts'

/** A terminal, or a pipe, that says this. */
const input = (chunks: readonly (string | Uint8Array)[], isTTY: boolean, modes: boolean[] = []): Input => ({
  isTTY,
  setRawMode: mode => modes.push(mode),
  async *[Symbol.asyncIterator]() {
    yield* chunks
  },
})

const run = async (stdin: Input | undefined, ...argv: readonly string[]): Promise<{ status: number; stdout: string; stderr: string }> => {
  let [stdout, stderr] = ['', '']
  const context: CliContext = {
    argv: ['hash-password', ...argv],
    env: {},
    ...(stdin === undefined ? {} : { stdin }),
    stdout: { write: text => (stdout += text) },
    stderr: { write: text => (stderr += text) },
    logDestination: { write: () => undefined },
    untilStopped: () => Promise.resolve(undefined),
  }
  return { status: await runCli(context), stdout, stderr }
}
const isHashOf = (password: string, line: string): Promise<boolean> => verifyPassword(password, parsePasswordHash(line.trim()))

describe('hash-password', () => {
  test('reads one line of a pipe, in any pieces', async () => {
    const bytes = Buffer.from('p\u00e4ss w\u00f6rd: x\r\n')
    const { status, stdout, stderr } = await run(input([bytes.subarray(0, 2), bytes.subarray(2)], false))
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
    expect(stdout).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}\n$/)
    expect(await isHashOf('p\u00e4ss w\u00f6rd: x', stdout)).toBe(true)
    expect(await isHashOf('p\u00e4ss w\u00f6rd: y', stdout)).toBe(false)
  })

  test('asks twice on a terminal, without showing what is typed', async () => {
    const modes: boolean[] = []
    const { status, stdout, stderr } = await run(input(['secx', '\u007fret\r', 'secret\r'], true, modes))
    expect({ status, stderr, modes }).toEqual({ status: 0, stderr: 'Password: \nAgain: \n', modes: [true, false] })
    expect(await isHashOf('secret', stdout)).toBe(true)
  })

  test('hides what is typed before it asks', async () => {
    const order: string[] = []
    const stdin: Input = { ...input(['secret\rsecret\r'], true), setRawMode: isRaw => order.push(isRaw ? 'hidden' : 'shown') }
    const context = { stdin, stderr: { write: (text: string) => order.push(text.trim()) } }
    await askFor([{ value: undefined, label: 'Password: ', option: '--password', isHidden: true }], context)
    expect(order).toEqual(['hidden', 'Password:', 'shown', ''])
    order.length = 0
    const out = { write: () => true }
    const untilStopped = () => Promise.resolve(undefined)
    const argv = ['hash-password']
    const { stderr } = context
    expect(
      await runCli({
        argv,
        env: {},
        stdin: { ...stdin, ...input(['a\ra\r'], true), setRawMode: stdin.setRawMode! },
        stdout: out,
        stderr,
        logDestination: out,
        untilStopped,
      }),
    ).toBe(0)
    expect(order).toEqual(['hidden', 'Password:', 'Again:', '', 'shown'])
  })

  test.each([
    ['nothing', input([], false), 'is empty'],
    ['two lines', input(['a\nb\n'], false), 'expected one line'],
    ['a whole file', input(['x'.repeat(2_000)], false), 'at most 1024'],
    ['two that differ', input(['a\rb\r'], true), 'differ'],
    ['the end', input(['a\r\u0004'], true), 'ended before'],
    ['ctrl-c', input(['a\u0003'], true), 'interrupted'],
    ['no input at all', undefined, 'no standard input'],
  ])('%s is a fault of usage, and prints no hash', async (_, stdin, reason) => {
    const { status, stdout, stderr } = await run(stdin)
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
    expect(stderr).toContain(reason)
  })

  test('a password on the command line is refused', async () => {
    expect((await run(input(['x\n'], false), 'secret')).status).toBe(2)
  })

  test('the process itself reads its standard input', async () => {
    const running = startProcess(['-c', `echo 'from a pipe' | '${process.execPath}' dist/main.cjs hash-password`], { program: '/bin/sh' })
    expect((await running.exit).code).toBe(0)
    expect(await isHashOf('from a pipe', running.stdout)).toBe(true)
  })
})

describe('hashes of passwords', () => {
  test('are the same for both Unicode forms of a password, and differ by their salts', async () => {
    const [one, other] = await Promise.all([hashPassword('caf\u00e9'), hashPassword('caf\u00e9')])
    expect(one).not.toBe(other)
    expect(await isHashOf('cafe\u0301', one)).toBe(true)
  })

  test.each([
    '',
    'secret',
    '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$aGFzaGhhc2hoYXNo',
    '$scrypt$ln=15,r=8,p=1$c2FsdA',
    '$scrypt$ln=9,r=8,p=1$c29tZXNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA',
    '$scrypt$ln=20,r=999,p=1$c29tZXNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA',
    '$scrypt$ln=15,r=8,p=99$c29tZXNhbHRzYWx0$aGFzaGhhc2hoYXNoaGFzaA',
  ])('%s is no hash, and the message does not repeat it', text => {
    try {
      parsePasswordHash(text)
    } catch (error) {
      expect(error).toMatchObject({ code: 'CONFIG_INVALID' })
      if (text !== '') expect((error as Error).message).not.toContain(text)
      return
    }
    throw new Error('it was taken')
  })
})
