/** The parts of every key of a target: its schema, the values for the layers, and its effects in words. */
import type { z } from 'zod'
import type { Effect } from '../document/effect.ts'
import type { RouteMatch } from '../../route/route-match.ts'
import type { RoutePath } from '../../route/routes.ts'
import type { Target } from '../../route/target.ts'

/** The content that a file named by the targets file has to have. */
export type FileKind = 'text' | 'certificate' | 'private key' | 'revocation list'

/** Where a target or route stands: what does not follow from its own keys. */
export interface TargetPlace {
  readonly name: string
  readonly line: number
  /** The public host, without the path of a route. */
  readonly host: string
  /** Of a route. */
  readonly path?: RoutePath
  /** Of a route with a condition. */
  readonly match?: RouteMatch | undefined
  /** Reads a file that `key` names. @throws GatewayError CONFIG_INVALID, when the key is what is wrong */
  readonly read: (name: string, kind: FileKind, key: readonly string[]) => string
}

/** A request as far as the effects of keys depend on it. */
export interface EffectRequest {
  readonly method: string
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly query: string
}

/** The keys of a target as they were read, valid or not. */
export type RawKeys = Readonly<Record<string, unknown>>

/** Something wrong with keys that no schema sees, and the key that is to blame. */
export type KeyFault = readonly [key: readonly string[], message: string]

/** A key of a target, or a few that belong together. */
export interface TargetKey<Shape extends z.ZodRawShape, Part extends object> {
  /** By name, each optional: what a route does not have, it takes from its target. */
  readonly schema: Shape
  /** Creates the values that the layers work with, frozen. */
  readonly create: (source: z.output<z.ZodObject<Shape>>, place: TargetPlace) => Part
  /** Faults that lie between keys. Asked of each target, also of one that is wrong otherwise. */
  readonly faults?: (keys: RawKeys) => Iterable<KeyFault>
  /** Doubts about what is valid as it stands and was probably meant otherwise, as far as only the file shows it. */
  readonly doubts?: (keys: RawKeys) => Iterable<KeyFault>
  /** The effects of the key on a request, for `targets explain`. */
  readonly effects: (target: Target, request: EffectRequest) => Iterable<Effect>
}

/** Declares a key: its parts know each other's types. */
export const targetKey = <Shape extends z.ZodRawShape, Part extends object>(key: TargetKey<Shape, Part>): TargetKey<Shape, Part> => key

/** One value or a list of them, as a list. */
export const listOf = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? [] : Array.isArray(value) ? (value as readonly T[]) : [value as T]

/** Of an object, only what is there, frozen; undefined when nothing is. */
export const given = <T extends object>(value: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } | undefined => {
  const entries = Object.entries(value).filter(([, each]) => each !== undefined)
  return entries.length === 0 ? undefined : Object.freeze(Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> })
}

/** The map that a key has, of keys that may be wrong; undefined when it has none. */
export const mapIn = (keys: RawKeys, key: string): RawKeys | undefined => {
  const value = keys[key]
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as RawKeys) : undefined
}

/** Does the key say something: is it there, and not `false`? */
export const isOn = (keys: RawKeys, key: string): boolean => keys[key] !== undefined && keys[key] !== false

/** The fault of two keys of which only one may be on. */
export function* notBoth(keys: RawKeys, one: string, other: string): Generator<KeyFault> {
  if (isOn(keys, one) && isOn(keys, other)) yield [[one], `expected either ${one} or ${other}, not both`]
}

/** Do requests for the target go to an origin? */
export const reachesOrigin = ({ hostname, treatment, split }: Target): boolean =>
  (hostname !== '' || split !== undefined) && treatment?.answer === undefined

/** A number and its noun. */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? '' : 's'}`
