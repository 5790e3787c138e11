import type { RequestsAnswer, RequestsChange, RequestsFollowing, RequestsQuestion } from '../../directory/socket-requests.ts'
import type { RequestSource } from '../../service-host/recorded-requests.ts'
import { idOfEntry, mergePages, type HarEntry } from '../records/merge-records.ts'
import type { ServingWorker } from './serving-worker.ts'

/** Longer than what is sent again for an owner may take, milliseconds. */
const ANSWER_MS = 30_000
/** As many as a page of one process has. */
const MAX_LIMIT = 100

interface Follower {
  readonly following: RequestsFollowing
  readonly tell: (changes: readonly RequestsChange[]) => void
}

const AWAY: RequestsAnswer = { kind: 'refused', code: 'SERVICE_AWAY', why: 'no process of the gateway has answered' }

type Of<Kind extends RequestsAnswer['kind']> = Extract<RequestsAnswer, { readonly kind: Kind }>

/** The requests of sockets that all workers have recorded, as one source for the service process. */
export class SharedRequests implements RequestSource {
  readonly #workers = new Set<ServingWorker>()
  readonly #followers = new Map<number, Follower>()
  #count = 0

  /** A worker is there. @returns what it is to follow */
  came(worker: ServingWorker): readonly { readonly id: number; readonly following: RequestsFollowing }[] {
    this.#workers.add(worker)
    return [...this.#followers].map(([id, { following }]) => ({ id, following }))
  }

  /** It has ended, and with it what it had recorded. */
  gone(worker: ServingWorker): void {
    if (this.#workers.delete(worker)) for (const { tell } of this.#followers.values()) tell([{ type: 'reset' }])
  }

  readonly answer = async (question: RequestsQuestion): Promise<RequestsAnswer> => {
    const answers = await Promise.all(
      [...this.#workers].map(worker =>
        worker.ask('requests', question, ANSWER_MS).then(
          answer => [answer as RequestsAnswer],
          () => [],
        ),
      ),
    )
    return merged(question, answers.flat())
  }

  readonly follow = (following: RequestsFollowing, tell: (changes: readonly RequestsChange[]) => void): (() => void) => {
    const id = ++this.#count
    this.#followers.set(id, { following, tell })
    for (const worker of this.#workers) worker.tell({ kind: 'follow', id, following })
    return () => {
      if (!this.#followers.delete(id)) return
      for (const worker of this.#workers) worker.tell({ kind: 'unfollow', id })
    }
  }

  /** A worker has told what has changed in its part. */
  followed(worker: ServingWorker, id: number, changes: readonly RequestsChange[]): void {
    const follower = this.#followers.get(id)
    if (follower === undefined || !this.#workers.has(worker)) return
    // The socket is gone at all of them, and each says so.
    if (changes.some(({ type }) => type === 'end')) {
      this.#followers.delete(id)
      for (const each of this.#workers) each.tell({ kind: 'unfollow', id })
    }
    follower.tell(changes)
  }
}

/** One answer of all; what concerns one record has the answer of whoever has it. */
function merged(question: RequestsQuestion, answers: readonly RequestsAnswer[]): RequestsAnswer {
  const known = answers.filter(({ kind }) => kind !== 'refused')
  if (known.length === 0) return answers.find(answer => answer.kind === 'refused' && answer.code !== 'NOT_FOUND') ?? answers[0] ?? AWAY
  if (question.kind === 'list') {
    const page = mergePages(known as readonly Of<'list'>[], Math.min(question.limit, MAX_LIMIT))
    return { kind: 'list', ...page }
  }
  if (question.kind === 'har') return mergedHar(known as readonly Of<'har'>[])
  return known[0]!
}

/** Entries from the newest on, down to where the first of them has a part left: what is older comes with the next part. */
function mergedHar(parts: readonly Of<'har'>[]): RequestsAnswer {
  const ends = parts.flatMap(({ next }) => (next === null ? [] : [next])).sort()
  const end = ends.at(-1)
  const entries = parts
    .flatMap(part => part.entries as readonly HarEntry[])
    .map(entry => ({ entry, id: idOfEntry(entry) }))
    .filter(({ id }) => end === undefined || id >= end)
    .sort((a, b) => (a.id < b.id ? 1 : -1))
  return { kind: 'har', entries: entries.map(({ entry }) => entry), next: end ?? null }
}
