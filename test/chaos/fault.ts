import type { World } from './world.ts'

/** Something that is broken on purpose, once, while a world works. */
export interface Fault {
  /** As in the list of docs/reliability.md. */
  readonly id: string
  readonly what: string
  /** Takes half a minute or more, because that is when a silence is noticed. */
  readonly isLong?: boolean
  /** Breaks it, mends it, and throws where something else than the oracle's invariants was not held. */
  readonly run: (world: World) => Promise<void>
}

/** @throws Error that says what was claimed */
export function claim(isTrue: boolean, what: string): asserts isTrue {
  if (!isTrue) throw new Error(what)
}

/** Says what this machine or account cannot do. */
export const skip = (id: string, why: string): void => void process.stderr.write(`skipped ${id}: ${why}\n`)

/** Says that a package is absent. @throws Error where CI promised to install it */
export const lacks = (id: string, name: string): void => {
  claim(process.env['CI'] !== 'true', `apt-get install ${name}`)
  skip(id, `apt-get install ${name}`)
}

export const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
