/** `upgrades`: protocols that a client may switch to. */
import { z } from 'zod'
import { DEFAULT_UPGRADES } from '../../route/target.ts'
import { reachesOrigin, targetKey } from './key.ts'
import { off, text, TOKEN } from './parts.ts'

const UPGRADES = 'expected a list of protocols such as ["websocket"], or false'
const UPGRADE = 'expected a protocol such as "websocket"'

/** The key `upgrades`: protocols that clients may switch to from HTTP/1.1. */
export const upgradesKey = targetKey({
  schema: {
    upgrades: z
      .union(
        [
          off,
          z.array(
            text(UPGRADE)
              .regex(TOKEN, { error: UPGRADE })
              .refine(name => !/^(?:h2c|http\/|tls)/i.test(name), {
                error: 'expected another protocol: h2c, HTTP and TLS are never switched to',
              }),
            { error: UPGRADES },
          ),
        ],
        { error: UPGRADES },
      )
      .optional()
      .meta({ description: 'Protocols that a client may switch to; false: none.', default: [...DEFAULT_UPGRADES] }),
  },
  create: ({ upgrades }) => ({ upgrades: upgrades === false ? [] : upgrades?.map(each => each.toLowerCase()) }),
  *effects(target) {
    const { upgrades } = target
    if (upgrades !== undefined && reachesOrigin(target)) yield ['upgrades', upgrades.length === 0 ? 'none' : upgrades.join(', ')]
  },
})
