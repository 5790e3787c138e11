import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPretty } from '../../telemetry/pretty.ts'
import type { Output } from '../command/context.ts'

/** The way in which the service process tells of a letter, without its text. */
const LETTER = 'letter in the outbox: '

/**
 * A destination for JSON lines of the layers of a demo: errors go on, and of letters the whole text, whose links somebody has to follow.
 * @param outbox  folder of the letters, which need not be there yet
 */
export function createDemoLog(
  outbox: string,
  { letter, errors }: { readonly letter: (text: string) => void; readonly errors: Output },
): Output {
  const pretty = createPretty(false)
  const shown = new Set<string>()
  const showLetters = (): void => {
    for (const name of readdirSync(outbox).sort()) {
      if (!name.endsWith('.txt') || shown.has(name)) continue
      shown.add(name)
      letter(readFileSync(join(outbox, name), 'utf8').trim())
    }
  }
  const write = (text: string): true => {
    for (const line of text.split('\n')) {
      if (line === '') continue
      const { level, msg } = JSON.parse(line) as { readonly level: string; readonly msg?: string }
      if (level === 'error') errors.write(pretty(line))
      else if (msg?.startsWith(LETTER) === true) showLetters()
    }
    return true
  }
  return { write }
}
