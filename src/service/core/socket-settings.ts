/** The settings of a socket as they are stored, in JSON. */
import { z } from 'zod'
import { GatewayError } from '../../errors.ts'
import type { AccountLimits } from '../model.ts'

const settingsSchema = z.object({
  password: z.object({ user: z.string(), hash: z.string() }).nullable().default(null),
  visitors: z
    .object({ emails: z.array(z.string()), domains: z.array(z.string()), groups: z.array(z.string()).optional() })
    .nullable()
    .default(null),
  balance: z.enum(['least', 'round-robin', 'address']).default('least'),
  inspect: z.boolean().default(false),
  proxyProtocol: z
    .union([z.literal(1), z.literal(2)])
    .nullable()
    .default(null),
  upstream: z
    .object({ protocol: z.enum(['http', 'https']).optional(), hostname: z.string().optional() })
    .nullable()
    .default(null),
})

export type SocketSettings = Readonly<z.infer<typeof settingsSchema>>

const limitsSchema = z.object({
  http: z.number().int().nonnegative().optional(),
  tcp: z.number().int().nonnegative().optional(),
  tunnels: z.number().int().nonnegative().optional(),
  logWatchers: z.number().int().nonnegative().optional(),
  creationsPerHour: z.number().int().nonnegative().optional(),
  requestsPerSecond: z.number().int().positive().optional(),
  concurrency: z.number().int().positive().optional(),
  maxConnections: z.number().int().positive().optional(),
  bytesPerDay: z.number().int().nonnegative().optional(),
  interstitial: z.boolean().optional(),
  vanity: z.boolean().optional(),
  customDomains: z.boolean().optional(),
})

const read = <T>(schema: z.ZodType<T>, text: string, where: string): T => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new GatewayError('STORE_INVALID', `${where} is not what this release writes; was the database edited by hand?`)
}

/** Reads the column `settings`. @throws GatewayError STORE_INVALID */
export const readSettings = (text: string, socketId: string): SocketSettings => read(settingsSchema, text, `settings of socket ${socketId}`)

/** Reads the column `limits`. @throws GatewayError STORE_INVALID */
export const readLimits = (text: string, accountId: string): AccountLimits =>
  withoutAbsent(read(limitsSchema, text, `limits of account ${accountId}`))

/** Checks limits that an admin gives. @returns undefined and the faults, or the limits */
export const checkLimits = (value: unknown): z.ZodSafeParseResult<unknown> => limitsSchema.strict().safeParse(value)

const withoutAbsent = (value: object): object => Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))

/** Reads a column with a list of texts. @throws GatewayError STORE_INVALID */
export const readTexts = (text: string, where: string): readonly string[] => read(z.array(z.string()), text, where)

/** Reads a column with a map of texts. @throws GatewayError STORE_INVALID */
export const readTextMap = (text: string, where: string): Readonly<Record<string, string>> =>
  read(z.record(z.string(), z.string()), text, where)
