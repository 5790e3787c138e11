/** `redirect`: the answer that says where to go. */
import { z } from 'zod'
import { parseTemplate } from '../../http/template.ts'
import { createRedirect, locationOf, REDIRECT_VARIABLES } from '../../route/fixed-answer.ts'
import { notBoth, targetKey } from './key.ts'
import { off, parsedBy, text } from './parts.ts'

const LOCATION = 'expected an address such as "https://new.example.com${path}${query}" or "/new"'
const location = text(LOCATION)
  .regex(/^(?:https?:\/\/|\$\{scheme\}:\/\/|\/|\$\{path\})[\x21-\x7e]*$/, { error: LOCATION })
  .check(parsedBy(value => parseTemplate(value, REDIRECT_VARIABLES)))

const STATUS = 302

/** Somewhere else. */
export const redirectKey = targetKey({
  schema: {
    redirect: z
      .union(
        [
          off,
          location,
          z.strictObject(
            {
              to: location,
              status: z.literal([301, 302, 303, 307, 308], { error: 'expected 301, 302, 303, 307 or 308' }).default(STATUS),
            },
            { error: 'expected a map with the key to' },
          ),
        ],
        { error: LOCATION },
      )
      .optional()
      .meta({
        description:
          'Answers what the policy allows with a redirect; ${scheme}, ${host}, ${hostname} (the host without its port), ${path} and ${query} stand for those of the request.',
      }),
  },
  create: ({ redirect }) => {
    if (redirect === undefined || redirect === false) return { answer: undefined }
    const { to, status } = typeof redirect === 'string' ? { to: redirect, status: STATUS } : redirect
    return { answer: createRedirect(to, status) }
  },
  faults: keys => notBoth(keys, 'redirect', 'respond'),
  *effects({ treatment }, request) {
    const { answer } = treatment ?? {}
    if (answer?.kind === 'redirect') yield ['redirect', `${answer.status} ${locationOf(answer, { ...request })}`]
  },
})
