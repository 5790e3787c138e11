import { isIdentifier } from '../../identity/identifier.ts'
import type { NodeFacts, PresenceListener, ServedProcess } from '../presence.ts'
import { MAX_NODES, MAX_PROCESSES } from './scripts.ts'

/** Options of what is known. */
export interface KnownNodesOptions {
  /** The id of this node, which is no news. */
  readonly self: string
  readonly listener: PresenceListener
  /** Milliseconds, rising. */
  readonly clock: () => number
  /** After Redis was away, nodes have this time to show themselves again, milliseconds. */
  readonly aliveMs: number
}

interface KnownNode {
  facts: string
  /** Of its list, as it was told here. */
  version: number
  readonly numbers: Set<number>
}

/** Texts of one node are no longer than this, characters. */
const MAX_FACTS = 4_096
/** Those of a process: its instance has its key, its identifier and a name. */
const MAX_TEXT = 512
/** Processes of all other nodes together: whoever can write to Redis can make up as many as they like. */
const MAX_ALL = 200_000

/** The other nodes as this one has told them on: turns what Redis has into what has changed. */
export class KnownNodes {
  readonly #nodes = new Map<string, KnownNode>()
  #isSilent = true
  #processes = 0
  #answersSinceMs = 0

  constructor(private readonly options: KnownNodesOptions) {}

  /** Ids of those that are known. */
  get ids(): readonly string[] {
    return [...this.#nodes.keys()]
  }

  /** Redis does not answer. */
  silent(): void {
    this.#isSilent = true
  }

  /**
   * These are alive, as Redis says.
   * @returns those whose list has to be read
   */
  saw(alive: readonly { readonly id: string; readonly facts: string; readonly version: number }[]): readonly string[] {
    const { self, listener, clock, aliveMs } = this.options
    if (this.#isSilent) this.#answersSinceMs = clock()
    this.#isSilent = false
    const due: string[] = []
    for (const { id, facts: text, version } of alive) {
      if (id === self) continue
      const known = this.#nodes.get(id)
      if (known?.facts !== text) {
        const facts = parseFacts(id, text)
        if (facts === undefined || (known === undefined && this.#nodes.size >= MAX_NODES)) continue
        listener.node(facts)
        if (known === undefined) this.#nodes.set(id, { facts: text, version: -1, numbers: new Set() })
        else known.facts = text
      }
      if (this.#nodes.get(id)!.version !== version) due.push(id)
    }
    // An empty Redis says nothing of who is alive before everybody has had time to say so.
    if (clock() - this.#answersSinceMs < aliveMs) return due
    const ids = new Set(alive.map(({ id }) => id))
    for (const id of [...this.#nodes.keys()]) if (!ids.has(id)) this.#gone(id)
    return due
  }

  /** A node serves these, and nothing else. */
  list(id: string, version: number, texts: readonly string[]): void {
    const known = this.#nodes.get(id)
    // Perhaps more was heard while it was read.
    if (known === undefined || version < known.version) return
    const processes = texts.map(text => parseProcess(parseJson(text))).filter(process => process !== undefined)
    const numbers = new Set(processes.map(({ number }) => number))
    this.#change(id, known, { add: processes, remove: [...known.numbers].filter(number => !numbers.has(number)) })
    known.version = version
  }

  /**
   * A message of a node.
   * @returns false when it does not follow on what is known
   * @throws SyntaxError for what is no message
   */
  heard(message: string): boolean {
    const [id = '', version = ''] = message.split(' ', 2)
    if (id === this.options.self) return true
    const known = this.#nodes.get(id)
    if (version === 'gone') {
      if (known !== undefined) this.#gone(id)
      return true
    }
    if (known === undefined || Number(version) !== known.version + 1) return known !== undefined && Number(version) <= known.version
    const { add, remove } = JSON.parse(message.slice(id.length + version.length + 2)) as { add: unknown[]; remove: unknown[] }
    this.#change(id, known, {
      add: add.map(parseProcess).filter(process => process !== undefined),
      remove: remove.filter(number => typeof number === 'number'),
    })
    known.version = Number(version)
    return true
  }

  #change(id: string, known: KnownNode, change: { readonly add: readonly ServedProcess[]; readonly remove: readonly number[] }): void {
    const { listener } = this.options
    const remove = change.remove.filter(number => known.numbers.delete(number))
    this.#processes -= remove.length
    const room = Math.max(0, Math.min(MAX_PROCESSES - known.numbers.size, MAX_ALL - this.#processes))
    const add = change.add.filter(({ number }) => !known.numbers.has(number)).slice(0, room)
    for (const { number } of add) known.numbers.add(number)
    this.#processes += add.length
    if (add.length > 0) listener.served(id, add)
    if (remove.length > 0) listener.unserved(id, remove)
  }

  #gone(id: string): void {
    this.#processes -= this.#nodes.get(id)?.numbers.size ?? 0
    this.#nodes.delete(id)
    this.options.listener.nodeGone(id)
  }
}

type Raw = Readonly<Record<string, unknown>>

const isText = (value: unknown, most = MAX_FACTS): value is string => typeof value === 'string' && value.length <= most

const recordOf = (value: unknown): Raw => (typeof value === 'object' && value !== null ? (value as Raw) : {})

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Undefined for what another release has written in a way that this one cannot read. */
function parseFacts(id: string, text: string): NodeFacts | undefined {
  const { name, url, zone, linkUrl, isDraining, agent } = recordOf(parseJson(text))
  if (
    !isIdentifier(id) ||
    !isText(name) ||
    !isIdentifier(name.trim()) ||
    !isText(url) ||
    !isText(zone) ||
    !isText(linkUrl) ||
    !isText(agent)
  )
    return undefined
  if (!/^wss?:\/\//i.test(url) || !URL.canParse(url)) return undefined
  return { id, name, url, zone, linkUrl, agent, isDraining: isDraining === true }
}

const MAX_TIME_MS = 8.64e15

/** Key by key: whatever else is there is not taken over. */
function parseProcess(value: unknown): ServedProcess | undefined {
  const { number, identifier, pool, kid, address, agent, instance, isEnrolled, login, atMs } = recordOf(value)
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 1 || number > 0xffff_ffff) return undefined
  if (pool !== 'operator' && pool !== 'tunnel') return undefined
  if (!isIdentifier(identifier) || !isText(kid, MAX_TEXT) || !isText(address, MAX_TEXT) || !isText(agent, MAX_TEXT)) return undefined
  if (!isText(instance, 2 * MAX_TEXT)) return undefined
  if (typeof atMs !== 'number' || Math.abs(atMs) > MAX_TIME_MS) return undefined
  if (login !== undefined && typeof login !== 'number') return undefined
  return { number, identifier, pool, kid, address, agent, instance, isEnrolled: isEnrolled === true, login, atMs }
}
