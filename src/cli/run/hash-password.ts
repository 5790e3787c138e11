import { GatewayError } from '../../errors.ts'
import { hashPassword } from '../../identity/password-hash.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext, Input } from '../command/context.ts'

/** More than anybody types; a hash of a whole file by mistake would take its time. */
const MAX_CHARACTERS = 1_024

const usage = (message: string): GatewayError => new GatewayError('USAGE', message)

/**
 * `hash-password`: reads a password from standard input, or asks for it twice on a terminal, and prints its hash for the targets file.
 * Never from the command line, which other accounts can see and shells remember.
 * @throws GatewayError USAGE when there is no password, or the two differ
 */
export async function runHashPassword({ stdin, stdout, stderr }: CliContext): Promise<ExitStatus> {
  if (stdin === undefined) throw usage('there is no standard input; write the password to it, as in: socket-gateway hash-password < FILE')
  const password = stdin.isTTY === true ? await ask(stdin, stderr) : await readLine(stdin)
  if (password === '') throw usage('the password is empty; write it to standard input, or type it on a terminal')
  stdout.write(`${await hashPassword(password)}\n`)
  return 0
}

/** Everything up to the end of the input, which has to be one line. */
async function readLine(stdin: Input): Promise<string> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stdin) {
    text += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })
    if (text.length > MAX_CHARACTERS) throw usage(`expected a password of at most ${MAX_CHARACTERS} characters`)
  }
  const password = text.replace(/\r?\n$/, '')
  if (/[\r\n]/.test(password)) throw usage('expected one line; the input has more than one')
  return password
}

async function ask(stdin: Input, stderr: CliContext['stderr']): Promise<string> {
  const typed = hiddenLines(stdin)
  // Before the label: whoever types, or pastes, as soon as they see it would else see that too.
  stdin.setRawMode?.(true)
  try {
    stderr.write('Password: ')
    const first = await typed.next()
    stderr.write('\nAgain: ')
    const second = await typed.next()
    stderr.write('\n')
    if (first.done === true || second.done === true) throw usage('the input ended before the password was typed twice')
    if (first.value !== second.value) throw usage('the two passwords differ')
    return first.value
  } finally {
    await typed.return(undefined)
  }
}

/** Lines of a terminal that does not show what is typed. */
async function* hiddenLines(stdin: Input): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder()
  let line = ''
  try {
    for await (const chunk of stdin) {
      for (const character of typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true })) {
        if (character === '\r' || character === '\n') {
          yield line
          line = ''
        } else if (character === '\u0003') throw usage('interrupted')
        else if (character === '\u0004') return undefined
        else if (character === '\u007f' || character === '\b') line = line.replace(/.$/su, '')
        else if (line.length < MAX_CHARACTERS) line += character
      }
    }
  } finally {
    stdin.setRawMode?.(false)
  }
  return undefined
}
