/** `basicAuth`: names and passwords of clients (RFC 7617). */
import { z } from 'zod'
import { messageOf } from '../../errors.ts'
import { parsePasswordHash } from '../../identity/password-hash.ts'
import type { BasicAuth } from '../../route/target.ts'
import { counted, targetKey } from './key.ts'
import { flag, off, text } from './parts.ts'

const HASH = 'expected a hash of a password; make one with: socket-gateway hash-password'
const checkUsers = (context: { readonly value: Readonly<Record<string, string>>; readonly issues: unknown[] }): void => {
  const refuse = (name: string, message: string): void =>
    void context.issues.push({ code: 'custom', path: [name], message, input: name, params: { complete: true } })
  const names = Object.keys(context.value)
  if (names.length === 0)
    context.issues.push({ code: 'custom', message: 'expected at least one user', input: {}, params: { complete: true } })
  for (const name of names) {
    // RFC 7617 §2: the first colon ends the name.
    if (!/^[^:\p{C}]{1,255}$/u.test(name)) refuse(name, 'expected a name of 1 to 255 printable characters without a colon')
    try {
      parsePasswordHash(context.value[name]!)
    } catch (error) {
      refuse(name, messageOf(error))
    }
  }
}

const schema = {
  basicAuth: z
    .union(
      [
        off,
        z.strictObject(
          {
            users: z
              .record(z.string(), text(HASH), { error: 'expected a map of names to hashes of passwords' })
              .check(checkUsers)
              .meta({ description: 'Name → hash, as "socket-gateway hash-password" prints it.' }),
            realm: text('expected a text')
              .regex(/^[\x20-\x7e]{1,100}$/, { error: 'expected a text of 1 to 100 ASCII characters' })
              .optional()
              .meta({ description: 'What browsers show; the public host when absent.' }),
            session: flag.default(true).meta({
              description: 'After a first login a cookie of ours is enough, so that the application may use Authorization itself.',
            }),
            forward: flag.default(false).meta({ description: 'The origin gets Authorization as well.' }),
          },
          { error: 'expected a map with the key users' },
        ),
      ],
      { error: 'expected a map with the key users, or false' },
    )
    .optional()
    .meta({ description: 'Name and password (RFC 7617) before anything else; false: none, for a route below a target that has it.' }),
}

/** The key `basicAuth`: users that may come, by password. */
export const basicAuthKey = targetKey({
  schema,
  create: ({ basicAuth }, { host }): { readonly basicAuth: BasicAuth | undefined } => ({
    basicAuth:
      basicAuth === undefined || basicAuth === false
        ? undefined
        : Object.freeze({
            realm: basicAuth.realm ?? host.replace(/[^\x20-\x7e]|["\\]/g, '?'),
            users: new Map(Object.entries(basicAuth.users)),
            forwards: basicAuth.forward,
            session: basicAuth.session,
          }),
  }),
  *effects({ treatment }) {
    const { basicAuth } = treatment ?? {}
    if (basicAuth === undefined) return
    const forwards = basicAuth.forwards ? ', Authorization goes on to the origin' : ''
    const session = basicAuth.session ? ', then a cookie' : ''
    yield ['basicAuth', `a password of ${counted(basicAuth.users.size, 'user')}, realm "${basicAuth.realm}"${session}${forwards}`]
  },
})
