/** What docs/visitors.md says of X-SG-Identity, as programs that read tokens, one a line, and say of each yes or no. */
import { execFile } from 'node:child_process'
import { createHmac, generateKeyPairSync, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createKeyText, readKeys } from '../../src/visitors/session/key-ring.ts'
import { IdentityTokens } from '../../src/visitors/session/identity-token.ts'
import type { Visitor } from '../../src/route/access.ts'

const AUTH = 'https://auth.example.com'
const HOST = 'wiki.example.com'

const keys = readKeys(createKeyText(Date.now()))
const now = Date.now()
const tokensAt = (issuer: string, atMs = now, ring = keys): IdentityTokens =>
  new IdentityTokens(
    () => ring,
    () => issuer,
    () => atMs,
  )
const ADA: Visitor = Object.freeze({
  ...{
    lane: 'login',
    email: 'ada@example.io',
    name: 'Ada',
    groups: ['ops'],
    claims: new Map(),
    subject: 'ada',
    provider: 'company',
    sessionId: 's',
  },
} as const)

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const good = tokensAt(AUTH).sign(ADA, HOST).token
const [head = '', payload = '', proof = ''] = good.split('.')
const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
const { newest } = keys
const pem = JSON.stringify(newest.jwk)
const hmac = `${encode({ alg: 'HS256', typ: 'JWT', kid: newest.id })}.${payload}`
const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
/** Tokens that come to an origin: the first one is good. */
export const TOKENS: readonly (readonly [string, string])[] = [
  ['good', good],
  ['for another host', tokensAt(AUTH).sign(ADA, 'board.example.com').token],
  ['of another issuer', tokensAt('https://evil.example.com').sign(ADA, HOST).token],
  ['that is over', tokensAt(AUTH, now - 600_000).sign(ADA, HOST).token],
  ['without a signature', `${encode({ alg: 'none', typ: 'JWT' })}.${payload}.`],
  ['signed with the public key', `${hmac}.${createHmac('sha256', pem).update(hmac).digest('base64url')}`],
  ['that was changed', `${head}.${encode({ ...claims, email: 'root@example.io' })}.${proof}`],
  [
    'of a stranger',
    `${head}.${payload}.${sign('sha256', Buffer.from(`${head}.${payload}`), { key: stranger, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`,
  ],
]

/** The snippet of the page in a language. @param jwks  URL of the keys, instead of that of the page */
export function snippetOf(language: string, jwks: string): string {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'visitors.md'), 'utf8')
  const [, text] = new RegExp(`^\`\`\`${language}\\n(// [^\\n]*|# [^\\n]*)\\n([\\s\\S]*?)^\`\`\``, 'm').exec(page)?.slice(1) ?? []
  if (text === undefined) throw new Error(`no snippet in ${language}`)
  return text.replace(`${AUTH}/.well-known/jwks.json`, jwks)
}

const indent = (text: string): string => text.replace(/^/gm, '        ')

/** A program in one language. */
export interface SnippetProgram {
  /** The library, in a folder with one of each. */
  readonly has: string
  readonly file: string
  /** The whole of it around a snippet. */
  readonly of: (snippet: string) => string
  readonly run: (file: string) => readonly string[]
}

/** The programs by the language of their snippet. */
export const PROGRAMS = {
  js: {
    has: 'node/node_modules/jose',
    file: 'node/run.mjs',
    of: text => `import { createRemoteJWKSet, jwtVerify } from 'jose'
import { readFileSync } from 'node:fs'
for (const token of readFileSync(0, 'utf8').split('\\n').filter(each => each !== '')) {
  const request = { headers: { 'x-sg-identity': token } }
  try {
${indent(text)}
    console.log(payload.email === 'ada@example.io' ? 'yes' : 'odd')
  } catch { console.log('no') }
}
`,
    run: file => ['node', file],
  },
  python: {
    has: 'py/jwt',
    file: 'py/run.py',
    of: text => `import sys, jwt
class Request: pass
for line in sys.stdin:
    request = Request(); request.headers = {"X-SG-Identity": line.strip()}
    try:
${indent(text)}
        print("yes" if who["email"] == "ada@example.io" else "odd")
    except Exception: print("no")
`,
    run: file => ['python3', file],
  },
  go: {
    has: 'go/go.mod',
    file: 'go/main.go',
    of: text => `package main
import ("bufio"; "fmt"; "net/http"; "os"; "github.com/MicahParks/keyfunc/v3"; "github.com/golang-jwt/jwt/v5")
func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		r, _ := http.NewRequest("GET", "/", nil)
		r.Header.Set("X-SG-Identity", lines.Text())
		verify(r)
	}
}
func verify(r *http.Request) {
${indent(text)}
	if err != nil { fmt.Println("no"); return }
	if token.Claims.(jwt.MapClaims)["email"] == "ada@example.io" { fmt.Println("yes") } else { fmt.Println("odd") }
}
`,
    run: file => ['go', 'run', file],
  },
  java: {
    has: 'java/lib',
    file: 'java/Run.java',
    of: text => `import com.nimbusds.jose.*; import com.nimbusds.jose.proc.*; import com.nimbusds.jose.jwk.source.*; import com.nimbusds.jwt.*; import com.nimbusds.jwt.proc.*;
import java.net.URL; import java.util.*;
public class Run {
    interface Request { String getHeader(String name); }
    public static void main(String[] args) throws Exception {
        for (var lines = new Scanner(System.in); lines.hasNextLine();) {
            var line = lines.nextLine();
            Request request = name -> line;
            try {
${indent(text)}
                System.out.println("ada@example.io".equals(who.getStringClaim("email")) ? "yes" : "odd");
            } catch (Exception e) { System.out.println("no"); }
        }
    }
}
`,
    run: file => ['java', '-cp', 'lib/*', file],
  },
  ruby: {
    has: 'rb',
    file: 'rb/run.rb',
    of: text => `Dir[File.join(__dir__, 'gems', '*', 'lib')].each { |each| $:.unshift each }
require 'jwt'; require 'net/http'; require 'json'
STDIN.each_line do |line|
    request = Struct.new(:env).new({ 'HTTP_X_SG_IDENTITY' => line.strip })
    begin
${indent(text)}
        puts who['email'] == 'ada@example.io' ? 'yes' : 'odd'
    rescue StandardError
        puts 'no'
    end
end
`,
    run: file => ['ruby', file],
  },
} satisfies Record<string, SnippetProgram>

/** A server of the keys. @returns its URL, and what ends it */
export async function serveKeys(): Promise<{ readonly jwks: string; readonly close: () => void }> {
  const server = createServer((_, response) =>
    response.setHeader('content-type', 'application/jwk-set+json').end(JSON.stringify(tokensAt(AUTH).jwks)),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    jwks: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** What a program says of each token. */
export async function answersOf([command = '', ...args]: readonly string[], cwd: string): Promise<readonly string[]> {
  const running = promisify(execFile)(command, args, { cwd })
  running.child.stdin?.end(TOKENS.map(([, token]) => `${token}\n`).join(''))
  return (await running).stdout.trim().split('\n')
}
