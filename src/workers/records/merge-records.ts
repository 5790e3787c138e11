import type { InspectorState } from '../../inspector/kept/record.ts'

/** One page of a list, the newest first. */
export interface Page<Item> {
  readonly items: readonly Item[]
  /** The id behind which the next page begins; null: there is none. */
  readonly next: string | null
}

/** The page of all, from the pages of each, which were asked for with the same limit. Ids rise with time, also in the order of texts. */
export function mergePages<Item extends { readonly id: string }>(pages: readonly Page<Item>[], limit: number): Page<Item> {
  const all = pages.flatMap(({ items }) => items).sort(byIdDown)
  const items = all.slice(0, limit)
  const hasMore = all.length > limit || pages.some(({ next }) => next !== null)
  return { items, next: hasMore ? (items.at(-1)?.id ?? null) : null }
}

const byIdDown = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? 1 : a.id > b.id ? -1 : 0)

/** A HAR file, as far as it is put together. */
export interface HarFile {
  readonly log: { readonly entries: readonly HarEntry[] }
}

/** An entry of a HAR file that an inspector has written. */
export interface HarEntry {
  readonly _socketGateway?: { readonly id?: string }
}

/** The id of the request of an entry. */
export const idOfEntry = ({ _socketGateway: own }: HarEntry): string => own?.id ?? ''

/** One file of several, the oldest first: the newest `limit` of all. */
export function mergeHar(files: readonly [HarFile, ...HarFile[]], limit: number): HarFile {
  const entries = files.flatMap(({ log }) => log.entries).sort((a, b) => (idOfEntry(a) < idOfEntry(b) ? -1 : 1))
  return { log: { ...files[0].log, entries: entries.slice(Math.max(0, entries.length - limit)) } }
}

const sum = (states: readonly InspectorState[], read: (state: InspectorState) => number): number =>
  states.reduce((total, state) => total + read(state), 0)

/** The state of all inspectors as that of one. */
export function mergeStates(states: readonly [InspectorState, ...InspectorState[]]): InspectorState {
  const stores = states.flatMap(({ store }) => (store === null ? [] : [store]))
  return {
    ...states[0],
    budgetBytes: sum(states, ({ budgetBytes }) => budgetBytes),
    heldBytes: sum(states, ({ heldBytes }) => heldBytes),
    requests: sum(states, ({ requests }) => requests),
    seen: sum(states, ({ seen }) => seen),
    dropped: sum(states, ({ dropped }) => dropped),
    store:
      stores[0] === undefined
        ? null
        : {
            hours: stores[0].hours,
            bytes: stores.reduce((total, { bytes }) => total + bytes, 0),
            fault: stores.find(({ fault }) => fault !== null)?.fault ?? null,
          },
  }
}
