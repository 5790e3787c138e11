import { GatewayError } from '../../errors.ts'
import type { ReplayEdits } from './replay.ts'

const MAX_TIMES = 100
const MAX_CONCURRENCY = 10
const MEMBERS: ReadonlySet<string> = new Set(['method', 'path', 'fields', 'setFields', 'body', 'times', 'concurrency', 'allowRedacted'])

const invalid = (message: string): GatewayError => new GatewayError('INVALID', message)

/** Reads what somebody wants to have changed. @throws GatewayError INVALID */
export function readEdits(value: unknown): ReplayEdits {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('expected an object')
  const given = new Map(Object.entries(value))
  for (const name of given.keys())
    if (!MEMBERS.has(name)) throw invalid(`${name.slice(0, 50)}: unknown; expected one of ${[...MEMBERS].join(', ')}`)
  return {
    method: textAt(given, 'method'),
    path: textAt(given, 'path'),
    fields: fieldsAt(given.get('fields')),
    setFields: setFieldsAt(given.get('setFields')),
    body: bodyAt(given.get('body')),
    times: numberAt(given, 'times', MAX_TIMES),
    concurrency: numberAt(given, 'concurrency', MAX_CONCURRENCY),
    allowRedacted: given.get('allowRedacted') === true,
  }
}

type Given = ReadonlyMap<string, unknown>

function textAt(given: Given, name: string): string | undefined {
  const value = given.get(name)
  if (value === undefined || typeof value === 'string') return value
  throw invalid(`${name}: expected a text`)
}

function numberAt(given: Given, name: string, most: number): number | undefined {
  const value = given.get(name)
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= most) return value
  throw invalid(`${name}: expected 1 to ${most}`)
}

function fieldsAt(value: unknown): [string, string][] | undefined {
  if (value === undefined) return undefined
  const isPair = (pair: unknown): pair is [string, string] =>
    Array.isArray(pair) && pair.length === 2 && pair.every(each => typeof each === 'string')
  if (Array.isArray(value) && value.length <= 500 && value.every(isPair)) return value
  throw invalid('fields: expected a list of [name, value]')
}

function setFieldsAt(value: unknown): Record<string, string | null> | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const entries = Object.entries(value)
    if (entries.length <= 500 && entries.every(([, each]) => each === null || typeof each === 'string')) return Object.fromEntries(entries)
  }
  throw invalid('setFields: expected an object of name and value, or null')
}

function bodyAt(value: unknown): Buffer | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'string') return Buffer.from(value)
  const encoded: unknown =
    typeof value === 'object' && value !== null && Object.hasOwn(value, 'base64') ? (value as { base64: unknown }).base64 : undefined
  if (typeof encoded === 'string' && /^[\w+/]*=*$/.test(encoded)) return Buffer.from(encoded, 'base64')
  throw invalid('body: expected a text, or { "base64": TEXT }')
}
