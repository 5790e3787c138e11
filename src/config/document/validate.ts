/** A YAML document against a zod schema → every fault, with its place. */
import { z } from 'zod'
import type { ConfigFault } from './fault.ts'
import { nearest } from './nearest.ts'
import type { YamlDocument } from './yaml.ts'
import { isYamlMap } from './yaml.ts'

type Issue = z.core.$ZodIssue

/** A value as a fault shows it: short, and never the whole of a list or map. */
const show = (value: unknown): string => {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return value.length > 0 ? 'a list' : 'an empty list'
  if (typeof value === 'object') return 'a map'
  const text = typeof value === 'number' ? String(value) : JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 77)}...` : text
}

const at = (value: unknown, path: readonly PropertyKey[]): unknown => {
  for (const key of path) {
    if (Array.isArray(value) && typeof key === 'number') value = value[key]
    else if (isYamlMap(value) && typeof key === 'string') value = value[key]
    else return undefined
  }
  return value
}

/** A union fails as one issue; the branch that the value was meant for is the one whose faults lie deeper inside. */
const flatten = (issue: Issue, prefix: readonly PropertyKey[] = []): readonly Issue[] => {
  const path = [...prefix, ...issue.path]
  if (issue.code === 'invalid_union') {
    const meant = issue.errors.find(
      branch =>
        branch.length > 0 &&
        branch.every(inner => inner.path.length > 0 || (inner.code !== 'invalid_type' && inner.code !== 'invalid_value')),
    )
    if (meant) return meant.flatMap(inner => flatten(inner, path))
  }
  return [{ ...issue, path }]
}

/** The keys that a schema knows at a path. */
const keysAt = (schema: z.core.$ZodType, path: readonly PropertyKey[]): readonly string[] => {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    return keysAt(schema.unwrap(), path)
  if (schema instanceof z.ZodUnion) return schema.options.flatMap(option => keysAt(option, path))
  const [key, ...rest] = path
  if (schema instanceof z.ZodObject) {
    if (key === undefined) return Object.keys(schema.shape)
    const inner: unknown = schema.shape[String(key)]
    return inner instanceof z.ZodType ? keysAt(inner, rest) : []
  }
  if (schema instanceof z.ZodRecord && key !== undefined) return keysAt(schema.valueType, rest)
  if (schema instanceof z.ZodArray && key !== undefined) return keysAt(schema.element, rest)
  return []
}

/**
 * The values of a document that stand where `wanted` is in the schema, with their paths.
 * @param value  as it was read
 */
export function* valuesOf(
  schema: z.core.$ZodType,
  wanted: (schema: z.core.$ZodType) => boolean,
  value: unknown,
  path: readonly PropertyKey[] = [],
): Generator<readonly [path: readonly PropertyKey[], value: unknown]> {
  if (value === undefined) return
  if (wanted(schema)) yield [path, value]
  else if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault)
    yield* valuesOf(schema.unwrap(), wanted, value, path)
  else if (schema instanceof z.ZodUnion) for (const option of schema.options) yield* valuesOf(option, wanted, value, path)
  else if (schema instanceof z.ZodArray && Array.isArray(value))
    for (const [i, item] of value.entries()) yield* valuesOf(schema.element, wanted, item, [...path, i])
  else if ((schema instanceof z.ZodObject || schema instanceof z.ZodRecord) && isYamlMap(value)) {
    for (const [key, item] of Object.entries(value)) {
      const inner: unknown = schema instanceof z.ZodRecord ? schema.valueType : schema.shape[key]
      if (inner instanceof z.ZodType) yield* valuesOf(inner, wanted, item, [...path, key])
    }
  }
}

const hint = (issue: Issue, value: unknown): string => {
  if (typeof value !== 'string') return ''
  if (issue.code === 'invalid_type' && ['int', 'number'].includes(issue.expected) && /^\d+$/.test(value)) return '; remove the quotes'
  const list =
    issue.code === 'invalid_union' &&
    issue.errors.some(branch => branch.some(inner => inner.code === 'invalid_type' && inner.expected === 'array'))
  return list ? `; a text is not a list, write [${JSON.stringify(value)}]` : ''
}

const explainIssue = (document: YamlDocument, schema: z.core.$ZodType, issue: Issue): readonly ConfigFault[] => {
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, issue.path)
    return issue.keys.map(key => {
      const meant = nearest(key, known)
      return document.fault(
        [...issue.path, key],
        `unknown key${meant ? `, did you mean "${meant}"?` : `; expected one of ${known.join(', ')}`}`,
      )
    })
  }
  const value = at(document.value, issue.path)
  if (value === undefined) return [document.fault(issue.path, `${issue.message}, but the key is missing`)]
  if (issue.code === 'custom' && issue.params?.complete === true) return [document.fault(issue.path, issue.message)]
  return [document.fault(issue.path, `${issue.message}, got ${show(value)}${hint(issue, value)}`)]
}

/** The outcome of `validate`: typed and without faults, or the faults. */
export type Validated<T> =
  { readonly value: T; readonly faults: readonly [] } | { readonly value: undefined; readonly faults: readonly ConfigFault[] }

/**
 * Holds a document against a schema.
 * @param schema its messages start with "expected …"; what was got is added here
 */
export const validate = <T>(document: YamlDocument, schema: z.ZodType<T>): Validated<T> => {
  if (document.value === undefined) return { value: undefined, faults: [document.fault([], 'expected a map, got an empty file')] }
  const result = schema.safeParse(document.value)
  if (result.success) return { value: result.data, faults: [] }
  return {
    value: undefined,
    faults: result.error.issues.flatMap(issue => flatten(issue)).flatMap(issue => explainIssue(document, schema, issue)),
  }
}
