/** Fields that an operator sets, adds or removes in requests or answers, compiled once. */
import { validateHeaderName } from 'node:http'
import { GatewayError } from '../errors.ts'
import { canonicalName } from './believed-fields.ts'
import { HOP_BY_HOP } from './hop-by-hop.ts'
import { expand, parseTemplate, type Template, type Variables } from './template.ts'

/** As it stands in the targets file. */
export interface FieldEditSource {
  readonly set?: Readonly<Record<string, string>> | undefined
  readonly add?: Readonly<Record<string, string | readonly string[]>> | undefined
  readonly remove?: readonly string[] | undefined
}

/** Compiled: first `removed` go, then `added` come, in the order of the file. */
export interface FieldEdits {
  /** In lower case, with `-` for `_`; those that are set are among them. */
  readonly removed: ReadonlySet<string>
  readonly added: readonly (readonly [name: string, value: Template])[]
}

/** Variables that a value may have in it: address of the client, host and scheme that it asked for. */
export const FIELD_VARIABLES = ['client', 'host', 'scheme'] as const

/** Framing, routing and what says who the client is: an edit here would break messages or make the gateway lie (docs/targets.md). */
const OURS = /^(?:host|content-length|expect|via|max-forwards|forwarded|x-forwarded-(?:for|host|proto|port)|x-real-ip|x-sg-.*)$/
const OURS_IN_ANSWERS = /^(?:content-length|date)$/

/** @throws GatewayError CONFIG_INVALID with what is wrong with the name of an edited field */
export function checkFieldName(name: string, direction: 'request' | 'response'): void {
  try {
    validateHeaderName(name)
  } catch {
    throw new GatewayError('CONFIG_INVALID', `expected the name of a header field, got ${JSON.stringify(name.slice(0, 80))}`)
  }
  const canonical = canonicalName(name)
  if (HOP_BY_HOP.has(canonical)) throw new GatewayError('CONFIG_INVALID', `expected another field: ${name} concerns one connection only`)
  if (direction === 'request' && canonical === 'host')
    throw new GatewayError('CONFIG_INVALID', 'expected another field: Host is that of the origin, or with preserveHost the public one')
  if ((direction === 'request' ? OURS : OURS_IN_ANSWERS).test(canonical))
    throw new GatewayError('CONFIG_INVALID', `expected another field: the gateway sets ${name} itself`)
}

/** @throws GatewayError CONFIG_INVALID with what is wrong with the value */
export function parseFieldValue(value: string): Template {
  if (value.length > 8_192) throw new GatewayError('CONFIG_INVALID', 'expected a value of at most 8192 characters')
  // RFC 9110 §5.5; beyond ASCII nobody agrees on the charset, so the file may not say it either.
  if (!/^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/.test(value))
    throw new GatewayError('CONFIG_INVALID', 'expected a value in ASCII, without control characters and without spaces around it')
  return parseTemplate(value, FIELD_VARIABLES)
}

/** @returns undefined when there is nothing to do. @throws GatewayError CONFIG_INVALID, but the file has been checked before */
export function compileFieldEdits(source: FieldEditSource | undefined): FieldEdits | undefined {
  const set = Object.entries(source?.set ?? {})
  const add = Object.entries(source?.add ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? (value as readonly string[]) : [value as string]).map((each): [string, string] => [name, each]),
  )
  const removed = new Set([...(source?.remove ?? []), ...set.map(([name]) => name)].map(canonicalName))
  if (removed.size === 0 && add.length === 0) return undefined
  const added = [...set, ...add].map(([name, value]): readonly [string, Template] => [name, parseFieldValue(value)])
  return Object.freeze({ removed, added: Object.freeze(added) })
}

/** Is the field one that the edits remove? @param name in lower case */
export const isRemoved = ({ removed }: FieldEdits, name: string): boolean => removed.size > 0 && removed.has(canonicalName(name))

/** Appends what the edits add. */
export function appendAdded({ added }: FieldEdits, fields: string[], variables: Variables): void {
  for (const [name, value] of added) fields.push(name, expand(value, variables))
}
