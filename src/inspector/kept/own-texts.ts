import { ownText } from './fields-text.ts'

const MAX_TEXTS = 1_000
const MAX_LENGTH = 100

/** Texts that come again and again (methods, hosts, addresses, media types), each once, in memory of its own. */
export class OwnTexts {
  readonly #known = new Map<string, string>()

  /** The same text, which keeps no larger one in memory. */
  own(text: string): string {
    if (text.length > MAX_LENGTH) return ownText(text)
    const known = this.#known.get(text)
    if (known !== undefined) return known
    const own = ownText(text)
    if (this.#known.size >= MAX_TEXTS) this.#known.clear()
    this.#known.set(own, own)
    return own
  }
}
