import { attempt, guarded } from '../net/guard.ts'
import type { BookedSocket, SocketBook } from '../net/socket-book.ts'
import type { Log } from '../telemetry/log.ts'

/** The time between two looks at the books, milliseconds. */
const LOOK_MS = 10_000

/** A port, or several with one book. */
export interface WatchedPort {
  /** As in "the books of …". */
  readonly name: string
  readonly book: SocketBook
  /** Connections that Node.js has of it at the moment of the call. */
  readonly count: () => Promise<number | undefined>
}

/** A port with one book. */
interface BookedPort {
  readonly book: SocketBook
  countConnections(): Promise<number | undefined>
}

/** The ports for links: of inner layers, of other nodes, of the service. */
export const watchedLinks = (
  socketPort: number,
  {
    socket,
    nodes,
    service,
  }: { readonly socket: BookedPort; readonly nodes: BookedPort | undefined; readonly service: BookedPort | undefined },
): readonly WatchedPort[] => [
  watchedPort(`socket port ${socketPort}`, socket),
  ...(nodes === undefined ? [] : [watchedPort('the port of other nodes', nodes)]),
  ...(service === undefined ? [] : [watchedPort('the port of the service', service)]),
]

const watchedPort = (name: string, port: BookedPort): WatchedPort => ({
  name,
  book: port.book,
  count: () => port.countConnections(),
})

/** The findings of one look. */
interface Finding {
  readonly gone: ReadonlySet<BookedSocket>
  /** Connections that Node.js has and the book has not; below 0: the other way round. */
  readonly difference: number
  /** The difference that the log knows of. */
  told: number
}

const NOTHING: Finding = { gone: new Set(), difference: 0, told: 0 }

/**
 * Compares the books of the ports with what Node.js has. What stands in two looks in a row is no moment between two events: it is told,
 * and connections that are gone without a `close` are freed, since otherwise they would count against the limits until a restart.
 */
export class BookWatch {
  #findings: ReadonlyMap<SocketBook, Finding> = new Map()
  #freed = 0
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly ports: () => Iterable<WatchedPort>,
    private readonly log: Log,
  ) {}

  /** Connections by which books and Node.js differ, as far as it stands. */
  get unaccounted(): number {
    return [...this.#findings.values()].reduce((sum, { told }) => sum + Math.abs(told), 0)
  }

  /** Connections that had to be freed since the start. */
  get freed(): number {
    return this.#freed
  }

  start(): void {
    this.#timer ??= setInterval(
      guarded(this.#fail, () => void this.look().catch(this.#fail)),
      LOOK_MS,
    ).unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Looks once. Resolves when what it has found is told. */
  async look(): Promise<void> {
    const findings = new Map<SocketBook, Finding>()
    for (const port of this.ports()) {
      const { book } = port
      const before = this.#findings.get(book) ?? NOTHING
      // All of it at one moment: Node.js counts when it is asked, not when it answers.
      const { size, gone } = book
      const count = await port.count()
      const open = size - gone.length
      const difference = count === undefined ? 0 : count - open
      const lost = gone.filter(socket => before.gone.has(socket))
      if (lost.length > 0) this.#free(port, lost, { books: size, node: count })
      const told = difference === before.difference || difference === 0 ? difference : before.told
      if (told !== before.told) this.#tell(port, { books: open, node: count })
      findings.set(book, { gone: new Set(gone), difference, told })
    }
    this.#findings = findings
  }

  #tell({ name }: WatchedPort, fields: { readonly books: number; readonly node: number | undefined }): void {
    const { books, node = 0 } = fields
    const text = `the books of ${name} have ${books} open connections, Node.js has ${node}`
    if (books === node) this.log.info({ port: name, ...fields }, `${text}: they agree again`)
    else this.log.warn({ port: name, ...fields }, `${text}: please report this`)
  }

  #free(
    { name, book }: WatchedPort,
    lost: readonly BookedSocket[],
    fields: { readonly books: number; readonly node: number | undefined },
  ): void {
    this.#freed += lost.length
    for (const socket of lost) {
      // Whoever waits for it hears what Node.js did not say.
      attempt(this.#fail, () => void socket.emit('close', true))
      attempt(this.#fail, () => book.strike(socket))
    }
    const text = `the books of ${name} had ${fields.books} connections, Node.js ${fields.node ?? 'an unknown number'}`
    this.log.warn(
      { port: name, ...fields, freed: lost.length },
      `${text}: freed ${lost.length} that ended and never said so; please report this`,
    )
  }

  readonly #fail = (thrown: unknown): void => {
    this.log.error({ err: thrown }, 'internal fault in the watch of the books')
  }
}
