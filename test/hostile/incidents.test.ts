/** What went wrong in other programs of this kind, and the test that would have shown it here: each of them exists, by its file and a part of its name. */
import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from '@jest/globals'

const INCIDENTS: readonly (readonly [string, string, string])[] = [
  ['frp CVE-2026-40910: routed by one credential, let in by another', 'gateway/weaknesses', 'what the policy sees is what the origin gets'],
  ['frp d4860188: a connection that was replaced while half-open leaked', 'chaos/link-faults', 'a link goes silent in one direction alone'],
  ['frp 7dc7be93, cb459b02: a malformed payload ended the process', 'mux/fuzz', 'survives more than 20,000 random and mutated messages'],
  ['frp: an upgrade to h2c went past the routing', 'gateway/upgrade', 'U1: h2c on one connection again and again is no leak'],
  [
    'chisel CVE-2024-43798: a documented option was ignored, and the server ran open',
    'gateway/reliability-link',
    'a key that is not registered is refused',
  ],
  [
    'chisel 44310b6: the list of what is allowed was looked at once, not for each channel',
    'gateway/upgrade-evil',
    'an upgrade at an origin that is not allowed is refused and not dialled',
  ],
  ['ngrok 2022-05: the answer of another tenant', 'chaos/oracle', 'the answer of another request'],
  ['localtunnel #389: one name owned by two at once', 'gateway/pools', 'has the newest login alone'],
  ['http-proxy GHSA-6x33-pw7p-hmpq: a field was set when the answer had begun', 'gateway/guards', 'internal fault'],
  ['http-proxy #1647: a Trailer field on GET ended the process', 'hostile/http1-input', 'Trailer: Content-Length'],
  ['http-proxy-middleware CVE-2024-21536: a rejection that nobody handled', 'chaos/layer', 'UnhandledPromise'],
  ['http-proxy-middleware CVE-2026-55602: a host that was routed by a part of it', 'route/table', 'a.example.com.evil'],
  ['Next.js CVE-2026-44578: upgrades went past the checks', 'gateway/upgrade', 'U3: an upgrade is judged like any request'],
  ['Fabio CVE-2025-48865: Connection removed the fields of the proxy', 'gateway/headers', 'a nomination cannot remove what we add'],
  ['oauth2-proxy CVE-2025-64484: X_Forwarded_User', 'gateway/headers', 'X_Forwarded_User'],
  [
    'oauth2-proxy CVE-2026-40575: a decision by X-Forwarded-Uri of the client',
    'gateway/trust-fields',
    'no override and no identity comes through',
  ],
  ['oauth2-proxy GHSA-7rh7-c77v-6434: an expression saw the query or the fragment', 'route/path', '/pub/#/../forbidden'],
  [
    'oauth2-proxy GHSA-5hvv-m4w4-gf6v: the User-Agent of a health check went past the login',
    'gateway/weaknesses',
    'the socket port shows nothing',
  ],
  [
    'fastify CVE-2026-3635: scheme and host were believed from anybody',
    'gateway/weaknesses',
    'what a stranger says of the client does not pass',
  ],
  ['engine.io CVE-2026-59725: polling that is never closed', 'link/hostile', 'answers %s by %s with 400 and keeps no socket'],
  [
    'engine.io CVE-2022-21676, CVE-2022-41940, CVE-2023-31125, socket.io CVE-2024-38355: one packet ended the process',
    'link/hostile',
    'and no other',
  ],
  [
    'socket.io-parser CVE-2022-2421, CVE-2023-32695, CVE-2026-33151, CVE-2026-69185: packets of events and attachments',
    'link/hostile',
    'a text packet of an unknown type',
  ],
  ['engine.io GHSA-gr94: sessions of WebTransport that are never closed', 'link/hostile', "['webtransport', 'GET']"],
  ['ws CVE-2024-37890, CVE-2026-48779: many fields, tiny fragments', 'hostile/fuzzers', 'packets of strangers'],
  ['undici CVE-2026-1525: two lengths by another spelling', 'http1/differential', 'never more lenient, never another reading'],
  ['Node.js CVE-2026-21710: __proto__ as a field', 'gateway/headers', 'names such as __proto__ are names like any other'],
  [
    'Node.js CVE-2026-48931: bytes on an idle connection became the next answer',
    'gateway/framing',
    'an answer that nobody asked for is not the answer to the next request',
  ],
  ['Node.js CVE-2026-48937: HTTP/2 and GOAWAY', 'hostile/http2-input', 'streams for an unknown host, GOAWAY'],
  [
    'Node.js CVE-2024-22019, CVE-2024-27982: chunk extensions, lengths that are hidden',
    'gateway/framing',
    'F1: what could be framed in two ways is refused',
  ],
  ['Node.js CVE-2024-27983: CONTINUATION without an end', 'gateway/http2-abuse', 'CONTINUATION without an end'],
  ['nghttp2 CVE-2026-27135: a few bytes abort the process', 'gateway/http2-support', 'the bytes that abort an older nghttp2'],
  ['nodejs/node#27880: bodies without a frame', 'gateway/framing', 'F2: the body of every method reaches the origin framed'],
  ['cloudflared 2024.10.0: the grace period was ignored', 'gateway/reliability-drain', 'cuts an event stream after its drain timeout'],
  ['cloudflared 2024-06: windows too small for the way', 'mux/long-way', 'three seconds after it began'],
  ['rust-yamux CVE-2026-31814: a window that overflows', 'mux/credit', 'bytes of credit end the session with PROTOCOL'],
  [
    'rust-yamux CVE-2026-32314: a first frame with more than its window',
    'mux/credit',
    'a peer that overruns its credit has that stream reset',
  ],
  ['jsonwebtoken CVE-2022-23540 and others: tokens that are taken for what they are not', 'identity/proof', 'is refused for that reason'],
  ['undici CVE-2023-23936: a line break in a field or a host', 'http/fields-and-rewrite', 'whatever comes, no line break is added'],
  ['undici CVE-2026-22036: codings were undone, one inside the other', 'gateway/streaming', 'nothing is compressed on the way'],
  ['undici CVE-2024-30260: credentials went along with a redirect', 'sokken/client', 'takes no credentials to another host'],
  [
    'express CVE-2024-29041, CVE-2024-43796: a redirect to wherever the request says',
    'route/routes',
    'nothing that a client sends ends the field of a redirect',
  ],
  [
    'oauth2-proxy GHSA-f24x: a session that was there before the login',
    'visitors/sessions',
    'are not found in a cookie that another host could have planted',
  ],
  ['oauth2-proxy GHSA-c5c4: an e-mail address with two at signs', 'visitors/attacks', 'two at signs'],
  ['Node.js CVE-2026-21637: a name in TLS that ended the process', 'gateway/tls', "['..', 'b.test', 200]"],
  [
    'NATS, Jepsen 2025-12: what had been confirmed was lost',
    'store/sqlite-file',
    'is written by one process alone, and is free again when that one was killed in the middle of it',
  ],
  ['cloudflared CVE-2023-1314: files that others may write or read', 'cli/process', 'others may read the private key'],
  [
    'localtunnel #220: a name was not free after a crash',
    'gateway/reliability-process',
    'kill -9 of one of two inner layers under load costs no GET',
  ],
  ['libuv#4997: a connection that was reset looked ended', 'net/true-end', 'a reset behind %i bytes is no end'],
]

test.each(INCIDENTS)('%s', (_what, file, name) => {
  const paths = [`../${file}.test.ts`, `../${file}.ts`].map(path => new URL(path, import.meta.url)).filter(path => existsSync(path))
  expect(paths.some(path => readFileSync(path, 'utf8').includes(name))).toBe(true)
})
