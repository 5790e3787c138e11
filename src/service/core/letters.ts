/** The letters of the service: plain text, in which what a person has typed stands alone on a line. */
import type { Letter } from '../contract.ts'
import type { Role } from '../model.ts'

/** Where letters come from and lead to. */
export interface LetterFrame {
  /** Name of the service for people: its zone. */
  readonly zone: string
  /** Origin of the API. */
  readonly apiUrl: string
}

const FOOT = 'If that was not you, do nothing; nobody gets in without this link.'

export const confirmationLink = ({ apiUrl }: LetterFrame, token: string): string => `${apiUrl}/user/confirm/${token}`
export const invitationLink = ({ apiUrl }: LetterFrame, token: string): string => `${apiUrl}/invitation#${token}`
export const resetLink = ({ apiUrl }: LetterFrame, token: string): string => `${apiUrl}/password#${token}`

/** @param fingerprint  of the SSH key that was given along: whoever confirms lets its owner in */
export const confirmationLetter = (frame: LetterFrame, to: string, token: string, fingerprint?: string): Letter => ({
  to,
  subject: `Confirm your account at ${frame.zone}`,
  text: `Somebody, hopefully you, has made an account at ${frame.zone} with this address${fingerprint === undefined ? '.' : `, and with the SSH key\n\n${fingerprint}\n`}\nOpen this link within 24 hours to confirm it:\n\n${confirmationLink(frame, token)}\n\nWhoever has made it knows its password. ${FOOT}\n`,
})

/** Goes to the owner of an account whose address somebody has used to sign up again, who learns nothing of it. */
export const knownAddressLetter = (frame: LetterFrame, to: string): Letter => ({
  to,
  subject: `You have an account at ${frame.zone} already`,
  text: `Somebody, hopefully you, has tried to make an account at ${frame.zone} with this address, which has one already.\nLog in with it. If you have forgotten its password, ask for a new one at ${frame.apiUrl}/password\n\nIf that was not you, do nothing; nothing has changed.\n`,
})

export const resetLetter = (frame: LetterFrame, to: string, token: string): Letter => ({
  to,
  subject: `A new password for your account at ${frame.zone}`,
  text: `Somebody, hopefully you, has asked for a new password for your account at ${frame.zone}.\nOpen this link within an hour to choose one; it ends all sessions:\n\n${resetLink(frame, token)}\n\n${FOOT}\n`,
})

export const invitationLetter = (frame: LetterFrame, to: string, token: string, role: Role): Letter => ({
  to,
  subject: `Your invitation to ${frame.zone}`,
  text: `You are invited to ${frame.zone}${role === 'user' ? '' : ` as ${role}`}.\nOpen this link within 7 days to choose a name and a password:\n\n${invitationLink(frame, token)}\n`,
})

/** Goes to the owner whenever the password has changed. */
export const passwordChangedLetter = (frame: LetterFrame, to: string): Letter => ({
  to,
  subject: `The password of your account at ${frame.zone} has changed`,
  text: `The password of your account at ${frame.zone} was changed, and all sessions have ended.\nIf that was not you, ask for a new one at ${frame.apiUrl}/password, and look at your SSH keys and tokens.\n`,
})

/** Goes to the owner when somebody has signed in from where nobody has before. */
export const newPlaceLetter = (
  frame: LetterFrame,
  to: string,
  { address, atMs }: { readonly address: string; readonly atMs: number },
): Letter => ({
  to,
  subject: `A sign-in to your account at ${frame.zone} from a new place`,
  text: `Somebody, hopefully you, has signed in to your account at ${frame.zone} from the address\n\n${address}\n\nat ${new Date(atMs).toUTCString()}. It has not signed in from there before.\nIf that was not you, ask for a new password at ${frame.apiUrl}/password, which ends all sessions, and look at your SSH keys and tokens.\n`,
})

/** A host name outside of the zone, and the record that shows whose it is. */
export interface DomainProof {
  readonly domain: string
  readonly name: string
  readonly text: string
}

/** Goes to the owner of a socket when the record is gone that shows one of its host names to be theirs. */
export const domainUnprovenLetter = (frame: LetterFrame, to: string, { domain, name, text }: DomainProof): Letter => ({
  to,
  subject: `The host name ${domain} at ${frame.zone}`,
  text: `Nothing in the DNS shows any more that this host name is yours:\n\n${domain}\n\nGive this name\n\n${name}\n\nthe TXT record\n\n${text}\n\nwithin three days; else the host name is taken from your socket.\n`,
})

/** Goes to the same when that has happened. */
export const domainGoneLetter = (frame: LetterFrame, to: string, { domain, name, text }: DomainProof): Letter => ({
  to,
  subject: `The host name ${domain} is no longer served by ${frame.zone}`,
  text: `For three days nothing in the DNS has shown that this host name is yours, and it was taken from your socket:\n\n${domain}\n\nTo have it back, give this name\n\n${name}\n\nthe TXT record\n\n${text}\n\nand give the socket its host name again.\n`,
})
