import { GatewayError } from '../../errors.ts'
import type { CliContext, Input } from './context.ts'

/** More than anybody types; a whole file by mistake would take its time. */
const MAX_CHARACTERS = 1_024

const usage = (message: string): GatewayError => new GatewayError('USAGE', message)

/** "--host, --name and --target". */
const listed = (options: readonly string[]): string =>
  options.length < 2 ? options.join('') : `${options.slice(0, -1).join(', ')} and ${options.at(-1)}`

/** Asks for lines: at a terminal, which does not show what is secret, or of standard input, one line after the other. */
class Prompt {
  readonly #input: Input | undefined
  readonly #chunks: AsyncIterator<Uint8Array | string> | undefined
  readonly #decoder = new TextDecoder()
  #rest: string[] = []

  constructor(private readonly context: Pick<CliContext, 'stdin' | 'stderr'>) {
    this.#input = context.stdin
    this.#chunks = context.stdin?.[Symbol.asyncIterator]()
  }

  /** Is somebody there who can be asked? */
  get isTerminal(): boolean {
    return this.#input?.isTTY === true
  }

  /**
   * Asks for one line.
   * @param label   written at a terminal, such as `Email: `
   * @param missing  the options that would have given it and the lines after it, for the message
   * @throws GatewayError USAGE when there is none
   */
  async line(label: string, missing: readonly string[], { isHidden = false }: { readonly isHidden?: boolean } = {}): Promise<string> {
    if (this.#input === undefined) throw usage(`there is no standard input to read it from; give ${listed(missing)}`)
    // Before the label: whoever types, or pastes, as soon as they see it would else see that too.
    if (isHidden) this.#input.setRawMode?.(true)
    try {
      if (this.isTerminal) this.context.stderr.write(label)
      const line = await this.#read(isHidden && this.isTerminal)
      if (line === undefined || line === '') throw usage(this.#nothingFor(missing))
      return line
    } finally {
      if (isHidden) this.#input.setRawMode?.(false)
      if (isHidden && this.isTerminal) this.context.stderr.write('\n')
    }
  }

  /** Lets go of standard input, which else keeps the process. */
  async close(): Promise<void> {
    await this.#chunks?.return?.()
  }

  #nothingFor(missing: readonly string[]): string {
    const [option = ''] = missing
    if (this.isTerminal) return `${option} is missing: nothing was typed`
    const lines = missing.length === 1 ? 'one line' : 'one line each'
    return `${option} is missing, and there is no terminal to ask at; give ${listed(missing)}, or ${lines} on standard input`
  }

  async #read(areKeys: boolean): Promise<string | undefined> {
    let line = ''
    for (;;) {
      const character = this.#rest.shift() ?? (await this.#more())
      if (character === undefined) return line === '' ? undefined : line
      if (character === '\n' || (areKeys && character === '\r')) return line.endsWith('\r') ? line.slice(0, -1) : line
      if (areKeys && character === '\u0003') throw usage('interrupted')
      if (areKeys && character === '\u0004') return undefined
      if (areKeys && (character === '\u007f' || character === '\b')) line = line.replace(/.$/su, '')
      else if (line.length < MAX_CHARACTERS) line += character
      else if (!areKeys) throw usage(`expected a line of at most ${MAX_CHARACTERS} characters`)
    }
  }

  async #more(): Promise<string | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks?.next()
      if (next === undefined || next.done === true) return undefined
      this.#rest = Array.from(typeof next.value === 'string' ? next.value : this.#decoder.decode(next.value, { stream: true }))
    }
    return this.#rest.shift()
  }
}

/** Something that an option gives, or else a line. */
export interface Wanted {
  readonly value: string | undefined
  /** Such as `Email: `. */
  readonly label: string
  /** Such as `--email`. */
  readonly option: string
  readonly isHidden?: boolean
}

/** The values that were given, and lines for those that were not, in their order. @throws GatewayError USAGE */
export async function askFor(wanted: readonly Wanted[], context: Pick<CliContext, 'stdin' | 'stderr'>): Promise<string[]> {
  if (wanted.every(({ value }) => value !== undefined)) return wanted.map(({ value = '' }) => value)
  const prompt = new Prompt(context)
  try {
    const values: string[] = []
    for (const [at, { value, label, isHidden = false }] of wanted.entries()) {
      const missing = wanted.slice(at).flatMap(each => (each.value === undefined ? [each.option] : []))
      values.push(value ?? (await prompt.line(label, missing, { isHidden })))
    }
    return values
  } finally {
    await prompt.close()
  }
}
