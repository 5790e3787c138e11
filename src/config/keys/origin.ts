/** `protocol`, `hostname`, `port` and `http2`: where a target leads to. */
import { z } from 'zod'
import { parseOriginHost } from '../../address/host.ts'
import { isOn, targetKey } from './key.ts'
import { flag, originPort, parsedBy, text } from './parts.ts'

const PROTOCOL = 'https'
const HTTP2 = false
/** Where servers for development and servers behind proxies listen. */
const PLAIN_PORTS: ReadonlySet<number> = new Set([3000, 4000, 5000, 5173, 8000, 8001, 8008, 8080, 8081, 8088, 8090, 8501, 8888, 9000, 9090])

/** Where requests go. */
export const originKey = targetKey({
  schema: {
    protocol: z
      .enum(['http', 'https'], { error: 'expected "http" or "https"' })
      .optional()
      .meta({ description: 'How the inner layer talks to the origin.', default: PROTOCOL }),
    hostname: text('expected the host name or IP address of the origin')
      .check(parsedBy(parseOriginHost, 'expected a host name or IP address: '))
      .optional()
      .meta({
        description:
          'Host name or IP address of the origin, as the inner layer reaches it. Needed unless split, redirect, respond or routes say what to do.',
        examples: ['my.private.api', '127.0.0.1', '::1'],
      }),
    port: originPort.optional().meta({ description: 'Port of the origin; 443 for https, 80 for http when absent.' }),
  },
  create: ({ protocol = PROTOCOL, hostname, port }) =>
    ({
      protocol,
      hostname: hostname === undefined ? '' : parseOriginHost(hostname),
      port: port ?? (protocol === 'https' ? 443 : 80),
    }) as const,
  *faults(keys) {
    if (!['hostname', 'split', 'redirect', 'respond', 'routes'].some(key => isOn(keys, key)))
      yield [['hostname'], 'expected the host name or IP address of the origin, but the key is missing']
  },
  *doubts({ protocol, hostname, port }) {
    if (protocol === undefined && hostname !== undefined && PLAIN_PORTS.has(Number(port)))
      yield [
        ['port'],
        `${PROTOCOL} on port ${String(port)}, since no protocol is given; most origins speak plain HTTP there: say protocol: http, or protocol: https`,
      ]
  },
  effects: () => [], // shown as the address that is asked for
})

/** Which version of HTTP is spoken there. */
export const http2Key = targetKey({
  schema: {
    http2: flag.optional().meta({
      description: 'HTTP/2 to the origin: by ALPN with https, by prior knowledge with http.',
      default: HTTP2,
    }),
  },
  create: ({ http2 = HTTP2 }) => ({ http2: http2 ? true : undefined }),
  *effects({ profile }) {
    if (profile?.http2 === true) yield ['http2', 'HTTP/2 to the origin']
  },
})
