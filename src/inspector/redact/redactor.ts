import { FormRedactor } from './form.ts'
import { JsonRedactor } from './json.ts'
import { MarkupRedactor } from './markup.ts'
import { MultipartRedactor } from './multipart.ts'
import type { SecretNames } from './secret-names.ts'
import { KeepAll, type Redactor, type Sink } from './sink.ts'
import { TextRedactor } from './text.ts'
import { WrittenJsonRedactor } from './written-json.ts'

/** Multipart within multipart: nobody needs more. */
const MAX_DEPTH = 3

/** A way to keep a body, or the reason why nothing of it may be kept. */
export type RedactorChoice = { readonly redactor: Redactor; readonly note: null } | { readonly redactor: undefined; readonly note: string }

/** The redactor for a body of this media type. @param type  with its parameters; undefined or empty: not known, so what comes first tells */
export function redactorFor(type: string | undefined, names: SecretNames, sink: Sink, depth = 0): RedactorChoice {
  const chosen = (redactor: Redactor): RedactorChoice => ({ redactor, note: null })
  const [media, parameters] = partsOf(type ?? '')
  const charset = parameters === '' ? '' : parameterOf(parameters, 'charset')
  // Names have other bytes there, and none would be found.
  if (charset !== '' && /^(?:utf-?(?:16|32)|ucs|utf-?7|.*ebcdic|ibm)/i.test(charset))
    return { redactor: undefined, note: `not kept: the charset ${charset.slice(0, 20)} cannot be redacted` }
  if (media === '') return chosen(new Sniffer(names, sink))
  if (media.includes('json')) return chosen(json(names, sink))
  if (media === 'application/x-www-form-urlencoded') return chosen(new WrittenJsonRedactor(names, new FormRedactor(names, sink), 'all'))
  if (media.startsWith('multipart/')) {
    const boundary = parameterOf(parameters, 'boundary')
    if (boundary === '' || boundary.length > 200 || depth >= MAX_DEPTH)
      return { redactor: undefined, note: 'not kept: multipart that cannot be taken apart' }
    const part = (partType: string | undefined, to: Sink): Redactor =>
      redactorFor(partType, names, to, depth + 1).redactor ?? new KeepAll(() => undefined)
    return chosen(new MultipartRedactor(boundary, names, part, sink))
  }
  if (media.endsWith('xml') || media === 'text/html' || media === 'image/svg+xml') return chosen(markup(names, sink))
  if (media === 'text/plain') return chosen(new Sniffer(names, sink))
  if (media.startsWith('text/') || TEXTS.has(media)) return chosen(text(names, sink))
  if (PROTOBUF.has(media)) return chosen(binaryRedactor(names, sink))
  if (BYTES.has(media) || /^(?:image|audio|video|font)\//.test(media) || media.startsWith('application/grpc'))
    return chosen(new KeepAll(sink))
  return chosen(new Sniffer(names, sink))
}

// JSON and text find what is written in them as it is, and JSON what is a string of it.
const json = (names: SecretNames, sink: Sink): Redactor => new WrittenJsonRedactor(names, new JsonRedactor(names, sink), 'spelled')
const markup = (names: SecretNames, sink: Sink): Redactor => new WrittenJsonRedactor(names, new MarkupRedactor(names, sink), 'escaped')
const text = (names: SecretNames, sink: Sink): Redactor => new WrittenJsonRedactor(names, new TextRedactor(names, sink), 'escaped')

/** Bytes that mean something else, with texts in between. */
export const binaryRedactor = (names: SecretNames, sink: Sink): Redactor =>
  new WrittenJsonRedactor(names, new TextRedactor(names, sink, 'binary'), 'binary')

const TEXTS: ReadonlySet<string> = new Set([
  'application/javascript',
  'application/yaml',
  'application/x-yaml',
  'application/toml',
  'application/graphql',
  'application/sql',
])
const BYTES: ReadonlySet<string> = new Set(['application/wasm', 'application/zip', 'application/pdf'])
const PROTOBUF: ReadonlySet<string> = new Set([
  'application/x-protobuf',
  'application/protobuf',
  'application/vnd.google.protobuf',
  'application/cbor',
  'application/msgpack',
  'application/x-msgpack',
])

/** Looks at the first bytes: programs send JSON as text, as bytes, and as nothing at all. */
class Sniffer implements Redactor {
  #chosen: Redactor | undefined
  /** The redactor is not known before something else than space has come. */
  readonly #early: Uint8Array[] = []
  #earlyBytes = 0

  constructor(
    private readonly names: SecretNames,
    private readonly sink: Sink,
  ) {}

  get count(): number {
    return this.#chosen?.count ?? 0
  }

  push(chunk: Uint8Array): void {
    if (this.#chosen !== undefined) return this.#chosen.push(chunk)
    const first = firstOf(chunk)
    if (first === undefined && this.#earlyBytes < 1_024) {
      this.#early.push(Uint8Array.from(chunk))
      this.#earlyBytes += chunk.length
      return
    }
    this.#chosen = this.#choose(first ?? 0x20, chunk)
    for (const early of this.#early) this.#chosen.push(early)
    this.#chosen.push(chunk)
  }

  end(): void {
    if (this.#chosen === undefined) for (const early of this.#early) this.sink(early, 0, early.length)
    this.#chosen?.end()
  }

  #choose(first: number, chunk: Uint8Array): Redactor {
    const { names, sink } = this
    if (first === 0x7b || first === 0x5b || first === 0x22) return json(names, sink)
    if (first === 0x3c) return markup(names, sink)
    return chunk.subarray(0, 512).includes(0) ? binaryRedactor(names, sink) : text(names, sink)
  }
}

const BOM: ReadonlySet<number> = new Set([0xef, 0xbb, 0xbf])

const firstOf = (chunk: Uint8Array): number | undefined => chunk.find(byte => !(byte <= 0x20 && byte >= 0x09) && !BOM.has(byte))

function partsOf(type: string): [string, string] {
  const end = type.indexOf(';')
  return end < 0 ? [type.trim().toLowerCase(), ''] : [type.slice(0, end).trim().toLowerCase(), type.slice(end + 1)]
}

/** The value of a parameter of a media type, empty for none. */
export function parameterOf(parameters: string, name: string): string {
  for (const part of parameters.split(';')) {
    const equals = part.indexOf('=')
    if (equals < 0 || part.slice(0, equals).trim().toLowerCase() !== name) continue
    return part
      .slice(equals + 1)
      .trim()
      .replace(/^"|"$/g, '')
  }
  return ''
}
