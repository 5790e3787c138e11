import type { Holder } from './kept/budget.ts'
import { Decoder, type Decoders } from './decoder.ts'
import { HeldBytes } from './kept/held-bytes.ts'
import type { BodyInfo } from './kept/record.ts'
import { redactorFor } from './redact/redactor.ts'
import type { SecretNames } from './redact/secret-names.ts'
import { KeepAll, type Redactor, type Sink } from './redact/sink.ts'

/** Redactors may need a little more than they give. */
const MORE_BYTES = 65_536

/** The parts that all bodies share. */
export interface BodyContext {
  readonly bodyLimitBytes: number
  readonly names: SecretNames
  readonly decoders: Decoders
}

/** A body as its head announces it. */
export interface BodyStart {
  /** The media type with its parameters; undefined for none. */
  readonly type: string | undefined
  /** The content coding; undefined for none. */
  readonly coding: string | undefined
  /** Bytes that are announced; undefined: none are. */
  readonly length?: number | undefined
  /** Reads it in another way than its media type says, and keeps it elsewhere. */
  readonly reader?: Redactor | undefined
  /** Bytes of no protocol that is known here. */
  readonly isBytes?: boolean
  /** Nothing of it changes any more, which may be after its end. */
  readonly onSettled: () => void
}

/** The body of one direction: all of it counted, the begin of it kept, decoded and redacted. */
export class BodyRecord {
  readonly held: HeldBytes
  readonly type: string | null
  readonly #coding: string | null
  #decoder: Decoder | undefined
  /** Undefined when nothing may be kept, and after the end: it may hold what was taken out. */
  #redactor: Redactor | undefined
  #redactions = 0
  readonly #limit: number
  #bytes = 0
  /** Bytes that went into the redactor. */
  #readBytes = 0
  #isComplete = false
  #hasEnded = false
  #isSettled = false
  #restored: BodyInfo | undefined
  #note: string | null = null

  constructor(
    holder: Holder,
    { bodyLimitBytes, names, decoders }: BodyContext,
    private readonly start: BodyStart,
  ) {
    this.#limit = bodyLimitBytes
    this.type = start.type ?? null
    const held = new HeldBytes(holder, bodyLimitBytes, start.coding === undefined ? start.length : undefined)
    this.held = held
    const sink: Sink = (bytes, from, to) => held.append(bytes, from, to)
    if (start.isBytes === true) this.#redactor = new KeepAll(sink)
    else if (start.reader === undefined) ({ redactor: this.#redactor, note: this.#note } = redactorFor(start.type, names, sink))
    else [this.#redactor, this.#note] = [start.reader, 'kept as messages']
    this.#coding = codingOf(start.coding)
    if (this.#redactor === undefined || this.#coding === null) return
    const decoder = decoders.open(this.#coding, {
      data: chunk => this.#read(chunk),
      done: why => {
        this.#note ??= why
        this.#settle()
      },
    })
    if (decoder instanceof Decoder) this.#decoder = decoder
    else this.#drop(decoder.note)
  }

  /** A body that was kept somewhere else meanwhile. */
  static restored(holder: Holder, context: BodyContext, info: BodyInfo, bytes: Buffer): BodyRecord {
    const body = new BodyRecord(holder, context, {
      type: info.type ?? undefined,
      coding: undefined,
      isBytes: true,
      onSettled: () => undefined,
    })
    body.held.append(bytes)
    if (info.isCut) body.held.cut()
    body.#restored = info
    body.#bytes = info.bytes
    body.end(info.isComplete)
    return body
  }

  /** Bytes as they were transferred. */
  get bytes(): number {
    return this.#bytes
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  /** True when all of it is kept, as it was but for its coding. */
  get isWhole(): boolean {
    return this.#isComplete && !this.held.isCut && this.#note === null && this.redactions === 0
  }

  get redactions(): number {
    return this.#restored?.redactions ?? this.#redactor?.count ?? this.#redactions
  }

  get coding(): string | null {
    return this.#restored?.coding ?? this.#coding
  }

  add(chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.held.isCut || this.#hasEnded) return
    if (this.#decoder !== undefined) this.#decoder.write(chunk)
    else if (this.#coding === null || this.#redactor === undefined) this.#read(chunk)
    else this.held.cut()
  }

  /** @param isComplete  all of it came */
  end(isComplete: boolean): void {
    this.#isComplete ||= isComplete
    if (this.#hasEnded) return
    this.#hasEnded = true
    if (this.#decoder === undefined) this.#settle()
    else this.#decoder.end()
  }

  get info(): BodyInfo {
    return {
      bytes: this.#bytes,
      heldBytes: this.held.length,
      isCut: this.held.isCut,
      isComplete: this.#isComplete,
      type: this.type,
      coding: this.coding,
      note: this.#restored?.note ?? this.#note,
      redactions: this.redactions,
    }
  }

  /** @returns false when no more is wanted */
  #read(chunk: Buffer): boolean {
    if (this.#isSettled || this.held.isCut) return false
    if (this.#redactor === undefined) this.held.cut()
    else if (this.start.reader !== undefined) this.#redactor.push(chunk)
    else if (this.#readBytes === 0 && !(this.#redactor instanceof KeepAll) && isWide(chunk))
      this.#drop('not kept: text in UTF-16 or UTF-32 cannot be redacted')
    else {
      const room = this.#limit + MORE_BYTES - this.#readBytes
      this.#readBytes += chunk.length
      this.#redactor.push(chunk.length > room ? chunk.subarray(0, room) : chunk)
      if (chunk.length > room) this.held.cut()
    }
    return !this.held.isCut
  }

  #drop(note: string): void {
    this.#note = note
    this.held.cut()
  }

  #settle(): void {
    if (this.#isSettled) return
    this.#isSettled = true
    this.#redactor?.end()
    this.#redactions = this.redactions
    this.#redactor = undefined
    this.#decoder = undefined
    this.held.finish()
    this.start.onSettled()
  }
}

const codingOf = (field: string | undefined): string | null => {
  const coding = field?.trim().toLowerCase() ?? ''
  return coding === '' || coding === 'identity' ? null : coding
}

/** Text whose letters have two or four bytes: a mark at its begin, or every other byte empty. */
function isWide(chunk: Buffer): boolean {
  const a = chunk[0]
  const b = chunk[1]
  const c = chunk[2]
  const d = chunk[3]
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return true
  return (
    chunk.length >= 4 &&
    ((a === 0 && b !== 0 && c === 0 && d !== 0) ||
      (a !== 0 && b === 0 && c !== 0 && d === 0) ||
      (a === 0 && b === 0 && c === 0 && d === 0x7b))
  )
}

/** The body that there is none of. */
export const NO_BODY_INFO: BodyInfo = Object.freeze({
  bytes: 0,
  heldBytes: 0,
  isCut: false,
  isComplete: true,
  type: null,
  coding: null,
  note: null,
  redactions: 0,
})
