/** Tokens of programs in whose name a person has logged in elsewhere: what such a program sends for a connection. */
import { readSession, sessionText, type Session } from './session.ts'
import type { Seal } from './seal.ts'

/** The session of a person, for a program on some machine of theirs. */
export interface DeviceGrant {
  readonly session: Session
  /** HOST:PORT of the tunnels that it opens. */
  readonly tunnels: readonly string[]
}

const PREFIX = 'sgd_'
const PURPOSE = 'device'
const FORM = /^sgd_[\w.-]{40,4096}$/

/** Has a text the form of such a token? Nothing else is one. */
export const isDeviceToken = (text: string): boolean => FORM.test(text)

/** @param authHost  where the person has logged in */
export const sealDeviceToken = (seal: Seal, authHost: string, { session, tunnels }: DeviceGrant): string =>
  PREFIX + seal.seal(PURPOSE, authHost, JSON.stringify([sessionText(session), tunnels]))

/** @returns undefined for one that is forged, or sealed by a key that is gone */
export function openDeviceToken(seal: Seal, authHost: string, token: string): DeviceGrant | undefined {
  const text = seal.open(PURPOSE, authHost, token.slice(PREFIX.length))
  if (text === undefined) return undefined
  const [stored, tunnels] = JSON.parse(text) as readonly [string, readonly string[]]
  const session = readSession(stored)
  return session === undefined ? undefined : { session, tunnels }
}
