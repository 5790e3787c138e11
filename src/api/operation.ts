import { z } from 'zod'
import type { ErrorCode } from '../errors.ts'
import type { Service } from '../service/contract.ts'
import type { Actor } from '../service/model.ts'
import type { ApiFacts } from './api-options.ts'

/** The parts of the service that operations use. */
export interface ApiContext extends ApiFacts {
  readonly service: Service
}

/** One call of an operation, parsed. */
export interface OperationCall<Params, Query, Body> {
  readonly params: Params
  readonly query: Query
  readonly body: Body
  /** IP address of the client. */
  readonly address: string
  /** Value of a field of the request, undefined when it is absent or empty. */
  readonly field: (name: string) => string | undefined
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal
}

/** `compatible`: the dialect of the client of 2021, at the root; `v1`: ours, under /api/v1. */
export type Dialect = 'compatible' | 'v1'

/** One method of one path, from which Express gets its route and the OpenAPI document its entry. */
export interface Operation {
  readonly dialect: Dialect
  /** operationId. */
  readonly id: string
  readonly method: 'get' | 'post' | 'put' | 'patch' | 'delete'
  /** Below the root of the dialect, parameters in braces. */
  readonly path: string
  readonly summary: string
  readonly params: z.ZodObject
  readonly query: z.ZodObject
  /** Undefined: whatever comes as a body is ignored. */
  readonly body: z.ZodType | undefined
  /** Bytes of it; the default is enough for all that people type. */
  readonly maxBody: number
  /** Fields of the request with a meaning, beside the token. */
  readonly fields: Readonly<Record<string, string>>
  readonly status: 200 | 201 | 202 | 204
  /** Of success; undefined with 204. */
  readonly reply: z.ZodType | undefined
  /** Codes of refusals beside those that any call may get. */
  readonly errors: readonly ErrorCode[]
  /** Undefined: anybody may call. */
  readonly run: (context: ApiContext, call: OperationCall<never, never, never>, actor: Actor) => Promise<unknown>
  readonly isPublic: boolean
  /** A GET that changes something: HEAD is refused. */
  readonly isOneTime: boolean
  /** `run` gives an AsyncIterable of `reply`, sent as NDJSON. */
  readonly isStream: boolean
  /** Gives the name of a changed thing for the field ETag. */
  readonly etagOf: ((reply: unknown) => string) | undefined
}

/** An operation as it is written down. */
interface Spec<Params extends z.ZodObject, Query extends z.ZodObject, Body extends z.ZodType> {
  readonly id: string
  readonly method: Operation['method']
  readonly path: string
  readonly summary: string
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
  readonly maxBody?: number
  readonly fields?: Readonly<Record<string, string>>
  readonly status?: Operation['status']
  readonly reply?: z.ZodType
  readonly errors?: readonly ErrorCode[]
  readonly isOneTime?: boolean
  readonly isStream?: boolean
  readonly etagOf?: (reply: never) => string
}

type CallOf<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> = OperationCall<z.output<P>, z.output<Q>, z.output<B>>

/** The two ways to write an operation of one dialect. */
export interface OperationBuilder {
  /** For whoever has a token. */
  readonly withToken: <P extends z.ZodObject = z.ZodObject, Q extends z.ZodObject = z.ZodObject, B extends z.ZodType = z.ZodUndefined>(
    spec: Spec<P, Q, B> & { readonly run: (context: ApiContext, call: CallOf<P, Q, B>, actor: Actor) => Promise<unknown> },
  ) => Operation
  /** For anybody. */
  readonly open: <P extends z.ZodObject = z.ZodObject, Q extends z.ZodObject = z.ZodObject, B extends z.ZodType = z.ZodUndefined>(
    spec: Spec<P, Q, B> & { readonly run: (context: ApiContext, call: CallOf<P, Q, B>) => Promise<unknown> },
  ) => Operation
}

const MAX_BODY = 65_536

/** Returns the builder of a dialect. */
export function operationsOf(dialect: Dialect): OperationBuilder {
  const build = (spec: Spec<z.ZodObject, z.ZodObject, z.ZodType> & Pick<Operation, 'run'>, isPublic: boolean): Operation => {
    const none = dialect === 'v1' ? z.strictObject({}) : z.object({})
    const {
      params = none,
      query = none,
      body,
      maxBody = MAX_BODY,
      fields = {},
      status = 200,
      reply,
      errors = [],
      isOneTime = false,
      isStream = false,
      etagOf,
    } = spec
    const { id, method, path, summary, run } = spec
    const etag = etagOf as Operation['etagOf']
    return Object.freeze({
      dialect,
      id,
      method,
      path,
      summary,
      params,
      query,
      body,
      maxBody,
      fields,
      status,
      reply,
      errors,
      run,
      isPublic,
      isOneTime,
      isStream,
      etagOf: etag,
    })
  }
  return {
    withToken: spec => build(spec, false),
    open: spec => build(spec, true),
  }
}

/** Where the paths of a dialect begin. */
export const ROOTS: Readonly<Record<Dialect, string>> = { compatible: '', v1: '/api/v1' }

/** The path of an operation in full, parameters in braces. */
export const pathOf = ({ dialect, path }: Pick<Operation, 'dialect' | 'path'>): string => `${ROOTS[dialect]}${path}`

type Given<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

/** The members that are there: what a parser leaves undefined is as good as absent. */
export const given = <T extends object>(value: T): Given<T> =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Given<T>
