/**
 * YAML (and JSON, its subset) → plain values with the place of each key. Composed here from the parser's events, because `load` stops
 * at the first duplicate key and forgets where things stood.
 */
import { CORE_SCHEMA, EVENT_ID, SCALAR_STYLE, YAMLException, getScalarValue, parseEvents } from 'js-yaml'
import type { Event, ScalarEvent } from 'js-yaml'
import { ConfigError, formatPath } from './fault.ts'
import type { ConfigFault } from './fault.ts'

/** A mapping; without prototype, so that `constructor` and the like are absent keys. */
export type YamlMap = { readonly [key: string]: unknown }

/** 1-based. */
export interface Place {
  readonly line: number
  readonly column: number
}

/** A file as it was read. */
export interface YamlDocument {
  readonly value: unknown
  /** Faults of composition (such as duplicate keys) that leave a value to go on with. */
  readonly faults: readonly ConfigFault[]
  /** Where a key or list item stands; of a path that is not there, its nearest parent. */
  place(path: readonly PropertyKey[]): Place
  /** A fault at a path. */
  fault(path: readonly PropertyKey[], message: string): ConfigFault
}

/** Longest text of a file, characters. */
export const MAX_TEXT = 8 * 1024 * 1024
const MAX_DEPTH = 20
const MAX_ALIASES = 1000
/** Nodes after every alias is written out. */
const MAX_NODES = 200_000

/** Is it a mapping, rather than a list or a scalar. */
export const isYamlMap = (value: unknown): value is YamlMap => typeof value === 'object' && value !== null && !Array.isArray(value)

interface Node {
  readonly value: unknown
  readonly start: number
  /** Position of each key or item, and its node. */
  readonly children: Map<PropertyKey, { readonly start: number; readonly node: Node }>
  /** Nodes in it, aliases written out. */
  size: number
  open: boolean
}

const isQuoted = (event: ScalarEvent): boolean => event.style === SCALAR_STYLE.SINGLE_QUOTED || event.style === SCALAR_STYLE.DOUBLE_QUOTED

/** Recursive, within the depth that the parser allows. */
class Composer {
  readonly faults: ConfigFault[] = []
  readonly #anchors = new Map<string, Node>()
  readonly #path: PropertyKey[] = []
  #index = 0
  #aliases = 0

  constructor(
    private readonly text: string,
    private readonly events: readonly Event[],
    private readonly report: (offset: number, path: readonly PropertyKey[], message: string) => ConfigFault,
  ) {}

  compose(): Node | undefined {
    const first = this.#next()
    if (first === undefined) return undefined
    const root = this.#node()
    this.#next()
    if (this.#index < this.events.length) this.#stop(root.start, 'expected one document, got a second one after "---"')
    return root
  }

  #next(): Event | undefined {
    return this.events[this.#index++]
  }

  #stop(offset: number, message: string): never {
    throw new ConfigError([this.report(offset, this.#path, message)])
  }

  #node(): Node {
    const event = this.#next()
    switch (event?.type) {
      case EVENT_ID.SCALAR:
        return this.#scalar(event)
      case EVENT_ID.ALIAS:
        return this.#alias(event.anchorStart, event.anchorEnd)
      case EVENT_ID.SEQUENCE:
      case EVENT_ID.MAPPING: {
        const value: unknown = event.type === EVENT_ID.MAPPING ? Object.create(null) : []
        const node: Node = { value, start: event.start, children: new Map(), size: 1, open: true }
        this.#announce(node, event)
        if (Array.isArray(value)) this.#items(node, value)
        else this.#pairs(node, value as Record<string, unknown>)
        this.#index++ // its POP
        node.open = false
        if (node.size > MAX_NODES) this.#stop(node.start, `the aliases in here stand for more than ${MAX_NODES} values`)
        return node
      }
      default:
        return this.#stop(0, 'expected a value')
    }
  }

  /** Registers an anchor, refuses a tag. */
  #announce(node: Node, event: { readonly anchorStart: number; readonly anchorEnd: number; readonly tagStart: number }): void {
    if (event.tagStart >= 0)
      this.faults.push(this.report(event.tagStart, this.#path, 'expected a plain value, got a YAML tag; remove the tag'))
    if (event.anchorStart >= 0) this.#anchors.set(this.text.slice(event.anchorStart, event.anchorEnd), node)
  }

  #scalar(event: ScalarEvent): Node {
    const source = getScalarValue(this.text, event)
    const value = event.style === SCALAR_STYLE.PLAIN ? CORE_SCHEMA.resolveImplicitScalarTag(source).value : source
    const node: Node = { value, start: Math.max(0, event.valueStart), children: new Map(), size: 1, open: false }
    this.#announce(node, event)
    return node
  }

  #alias(start: number, end: number): Node {
    const name = this.text.slice(start, end)
    const node = this.#anchors.get(name)
    if (node === undefined)
      return this.#stop(start, `no anchor &${name} before this alias; a text that begins with * has to be quoted: '*${name}'`)
    if (node.open) this.#stop(start, `the alias *${name} stands inside what it stands for`)
    if (++this.#aliases > MAX_ALIASES) this.#stop(start, `more than ${MAX_ALIASES} aliases`)
    return node
  }

  #items(parent: Node, list: unknown[]): void {
    while (this.events[this.#index]?.type !== EVENT_ID.POP) {
      const key = list.length
      const start = this.#offset(parent.start)
      this.#path.push(key)
      const node = this.#node()
      this.#path.pop()
      list.push(node.value)
      parent.children.set(key, { start, node })
      parent.size += node.size
    }
  }

  #pairs(parent: Node, map: Record<string, unknown>): void {
    while (this.events[this.#index]?.type !== EVENT_ID.POP) {
      const start = this.#offset(parent.start)
      const key = this.#key(start)
      this.#path.push(key)
      const node = this.#node()
      const earlier = parent.children.get(key)
      if (earlier)
        this.faults.push(this.report(start, this.#path, `duplicate key, first at line ${this.report(earlier.start, [], '').line}`))
      else if (key === '<<')
        this.faults.push(this.report(start, this.#path, 'merge keys are not supported; repeat the keys, or write an alias as a value'))
      else if (key === '__proto__') this.faults.push(this.report(start, this.#path, 'expected another key'))
      else {
        map[key] = node.value
        parent.children.set(key, { start, node })
      }
      parent.size += node.size
      this.#path.pop()
    }
  }

  /** A key as it is written: 0x10 and 1.0 stay text. */
  #key(start: number): string {
    const event = this.events[this.#index]
    if (event?.type === EVENT_ID.SCALAR) {
      const node = this.#node()
      return typeof node.value === 'string' ? node.value : getScalarValue(this.text, event)
    }
    return this.#stop(start, 'expected a text as key, got a list, a map or an alias; a text that begins with [, { or * has to be quoted')
  }

  /** Where the next event starts; an absent scalar has no place of its own. */
  #offset(fallback: number): number {
    const event = this.events[this.#index]
    if (event === undefined) return fallback
    if ('valueStart' in event) return event.valueStart < 0 ? fallback : event.valueStart - (isQuoted(event) ? 1 : 0)
    if ('start' in event) return event.start
    return 'anchorStart' in event ? event.anchorStart - 1 : fallback
  }
}

const lineStarts = (text: string): readonly number[] => {
  const starts = [0]
  for (const { index, 0: mark } of text.matchAll(/\r\n|\n|\r/g)) starts.push(index + mark.length)
  return starts
}

/** Lines before the one where the parser stops in which the reason may stand. */
const LOOK_BACK = 3

/** Where the parser says so, the next line stands to the left of what it takes for a part of this one. */
const UNCLOSED = '$&; is a quote, { or [ of a line before not closed?'

/** A key or value that begins with what YAML keeps for itself: an alias, a directive or a reserved indicator. */
const UNQUOTED = /(?:^|(?:^|\s)- |: |[[{,] ?)\s*([*%@`][^\s'",#[\]{}]*?)(?=\s*(?:$|[:,\]}](?:\s|$)|[\]},]|\s#))/

/** The nearest text before the place of a syntax error that lacks its quotes. @param lineNumber  1-based */
const unquotedText = (lines: readonly string[], lineNumber: number): (Place & { readonly text: string }) | undefined => {
  for (let line = lineNumber; line > Math.max(0, lineNumber - LOOK_BACK); line--) {
    // Long lines are not what somebody has written by hand.
    const found = UNQUOTED.exec((lines[line - 1] ?? '').slice(0, 500))
    const text = found?.[1]
    if (found !== null && text !== undefined) return { line, column: found.index + found[0].lastIndexOf(text) + 1, text }
  }
  return undefined
}

/**
 * Reads one YAML document.
 * @param file       name for the faults
 * @param firstLine  number of the first line, of a text that is a part of a file
 * @throws ConfigError CONFIG_INVALID for a syntax error, more than one document, and limits exceeded (size, depth, aliases); an empty
 *         text is a document with the value undefined
 */
export const parseYaml = (text: string, file: string, firstLine = 1): YamlDocument => {
  const source = text.replace(/^\uFEFF/, '')
  let starts: readonly number[] | undefined
  const placeOf = (offset: number): Place => {
    starts ??= lineStarts(source)
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    return { line: low + firstLine, column: offset - (starts[low] ?? 0) + 1 }
  }
  const report = (offset: number, path: readonly PropertyKey[], message: string): ConfigFault => ({
    file,
    ...placeOf(offset),
    path: formatPath(path),
    message,
  })
  if (source.length > MAX_TEXT) throw new ConfigError([report(0, [], `expected at most ${MAX_TEXT} characters, got ${source.length}`)])
  let events: readonly Event[]
  try {
    events = parseEvents(source, { filename: file, maxDepth: MAX_DEPTH })
  } catch (cause) {
    const place =
      cause instanceof YAMLException && cause.mark ? { line: cause.mark.line + firstLine, column: cause.mark.column + 1 } : placeOf(0)
    const unquoted = unquotedText(source.split(/\r\n|\n|\r/), place.line - firstLine + 1)
    if (unquoted !== undefined) {
      const message = `'${unquoted.text}' has to be quoted: a plain text cannot begin with ${unquoted.text[0]!} in YAML`
      throw new ConfigError([{ file, line: unquoted.line + firstLine - 1, column: unquoted.column, path: '', message }], { cause })
    }
    const reason = cause instanceof YAMLException ? cause.reason.replace(/^deficient indentation$/, UNCLOSED) : String(cause)
    throw new ConfigError([{ file, ...place, path: '', message: `not valid YAML: ${reason}` }], { cause })
  }
  const composer = new Composer(source, events, report)
  const root = composer.compose()
  const offsetOf = (path: readonly PropertyKey[]): number => {
    let node = root
    let offset = root?.start ?? 0
    for (const key of path) {
      const child = node?.children.get(key)
      if (child === undefined) break
      offset = child.start
      node = child.node
    }
    return offset
  }
  return {
    value: root?.value,
    faults: composer.faults,
    place: path => placeOf(offsetOf(path)),
    fault: (path, message) => report(offsetOf(path), path, message),
  }
}
