import { isThisMachine } from '../../address/this-machine.ts'
import { messageOf } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { readPrivateKey, type PrivateKey } from '../../identity/private-key.ts'
import { AllowList } from '../../origin/allow-list.ts'
import { addressOfProxy, placeOfProxy } from '../../net/http-proxy.ts'
import { trustRemedy } from '../../tls/trust-remedy.ts'
import { fail, ok, warn, type Finding } from './finding.ts'
import { checkLink } from './link-check.ts'
import { codeOf, connectRemedy, reach, resolve, shakeHands } from './network.ts'

/** The settings that an inner layer would be started with, as far as they are known. */
export interface InnerSetup {
  readonly privateKey: string | undefined
  readonly outerLayers: readonly string[]
  readonly identifier: string
  readonly isIdentifierDefault: boolean
  readonly ca: string | undefined
  readonly certificate: string | undefined
  readonly isInsecureAllowed: boolean
  /** The HTTP proxy on the way to an outer layer; undefined for none. @throws GatewayError USAGE */
  readonly proxyFor: (url: URL) => URL | undefined
  readonly allow: readonly string[]
  /** HOST:PORT. */
  readonly origins: readonly string[]
}

/** A certificate that ends within this time is worth a word, milliseconds. */
const SOON_MS = 14 * 86_400_000
/** Clocks that differ by more make log lines hard to compare, and certificates invalid; milliseconds. */
const MAX_SKEW_MS = 5_000

/** The checks of an inner layer, in the order in which it needs things. */
export async function* checkInner(facts: InnerSetup): AsyncGenerator<Finding> {
  let key: PrivateKey | undefined
  if (facts.privateKey === undefined) yield warn('private key', 'not given', 'add --private-key to check it and the proof of identity')
  else {
    const { finding, value } = await readKey(facts.privateKey)
    key = value
    yield finding
  }
  const ca = yield* readPem('authority', facts.ca, file => readCertificates(file))
  const certificate = yield* readPem('client certificate', facts.certificate, file => readCertificates(file, key?.key))
  for (const url of facts.outerLayers) yield* checkOuterLayer(url, { ...facts, key, caPem: ca, certificatePem: certificate })
  yield* checkAllowList(facts)
}

async function readKey(file: string): Promise<{ readonly finding: Finding; readonly value: PrivateKey | undefined }> {
  try {
    const value = await readPrivateKey(file)
    return { value, finding: ok('private key', `${file}: ${value.algorithm}, thumbprint ${value.kid}, readable by its owner alone`) }
  } catch (error) {
    return { value: undefined, finding: fail('private key', messageOf(error), 'mint a pair with: socket-gateway certificates') }
  }
}

async function* readPem(
  check: string,
  file: string | undefined,
  read: (file: string) => Promise<string>,
): AsyncGenerator<Finding, string | undefined> {
  if (file === undefined) return undefined
  try {
    const pem = await read(file)
    yield ok(check, file)
    return pem
  } catch (error) {
    yield fail(check, messageOf(error), 'give the file with the certificates in PEM')
    return undefined
  }
}

interface LinkSetup extends InnerSetup {
  readonly key: PrivateKey | undefined
  readonly caPem: string | undefined
  readonly certificatePem: string | undefined
}

async function* checkOuterLayer(url: string, facts: LinkSetup): AsyncGenerator<Finding> {
  const { protocol, hostname, port: explicit } = new URL(url)
  const isEncrypted = protocol === 'wss:' || protocol === 'https:'
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const port = explicit === '' ? (isEncrypted ? 443 : 80) : Number(explicit)
  const isHere = isThisMachine(host)
  if (!isEncrypted && !isHere) {
    const [result, remedy] = [facts.isInsecureAllowed ? warn : fail, 'use wss://; inner-layer refuses this without --insecure']
    yield result('encryption', `${url}: everybody on the way could read and change requests`, remedy)
  }
  const proxy = yield* findProxy(url, facts)
  if (proxy === 'none') return
  if (proxy !== undefined) {
    const place = addressOfProxy(proxy)
    // The name of the outer layer may be one that the proxy alone knows.
    if (!(yield* checkReach(place.host, place.port))) return
    if (facts.key === undefined) yield warn('TLS', `${url}: behind the proxy`, 'add --private-key to check the way to the outer layer')
  } else {
    if (!(yield* checkReach(host, port))) return
    if (isEncrypted) {
      const finding = await checkTls(host, port, facts.caPem)
      yield finding
      if (finding.result === 'FAIL') return
    }
  }
  if (facts.key !== undefined) yield* checkProof(url, facts.key, { ...facts, proxy })
}

/** @returns 'none' when what names the proxy names none that can be used */
async function* findProxy(url: string, { proxyFor }: InnerSetup): AsyncGenerator<Finding, URL | 'none' | undefined> {
  try {
    const proxy = proxyFor(new URL(url))
    if (proxy !== undefined) yield ok('proxy', `${placeOfProxy(proxy)} on the way to ${url}`)
    return proxy
  } catch (error) {
    yield fail('proxy', messageOf(error), 'correct the environment, or give --proxy')
    return 'none'
  }
}

/** @returns true when somebody listens there */
async function* checkReach(host: string, port: number): AsyncGenerator<Finding, boolean> {
  try {
    yield ok('DNS', `${host}: ${(await resolve(host)).join(', ')}`)
  } catch (error) {
    yield fail('DNS', `${host}: ${codeOf(error)}`, connectRemedy(codeOf(error), host, port))
    return false
  }
  try {
    yield ok('TCP', `${host}:${port}: ${Math.ceil(await reach(host, port))} ms`)
    return true
  } catch (error) {
    yield fail('TCP', `${host}:${port}: ${codeOf(error)}`, connectRemedy(codeOf(error), host, port))
    return false
  }
}

async function checkTls(host: string, port: number, ca: string | undefined): Promise<Finding> {
  const place = `${host}:${port}`
  try {
    const { protocol, fault, certificate } = await shakeHands(host, port, ca)
    if (fault !== undefined) return fail('TLS', `${place}: ${fault}`, tlsRemedy(fault, ca, { host, cert: certificate }))
    const endsMs = Date.parse(certificate.valid_to)
    const text = `${place}: ${protocol}, certificate valid until ${new Date(endsMs).toISOString().slice(0, 10)}`
    return endsMs - Date.now() < SOON_MS ? warn('TLS', text, 'renew it soon') : ok('TLS', text)
  } catch (error) {
    return fail(
      'TLS',
      `${place}: ${codeOf(error)}`,
      'does this port speak TLS? Plain WebSocket is ws://, and belongs to this machine alone',
    )
  }
}

const tlsRemedy = (fault: string, ca: string | undefined, names: { readonly host: string; readonly cert: unknown }): string =>
  trustRemedy(fault, { option: '--outer-layer-ca', isGiven: ca !== undefined }, names) ?? 'see what the code means for this system'

async function* checkProof(
  url: string,
  privateKey: PrivateKey,
  facts: LinkSetup & { readonly proxy: URL | undefined },
): AsyncGenerator<Finding> {
  const { identifier, caPem, certificatePem } = facts
  const outcome = await checkLink({
    url,
    privateKey,
    identifier,
    isIdentifierDefault: facts.isIdentifierDefault,
    proxy: facts.proxy,
    ...(caPem !== undefined && { ca: caPem }),
    ...(certificatePem !== undefined && { certificate: certificatePem }),
  })
  if (outcome.kind === 'no link') {
    yield fail(
      'outer layer',
      `${url}: ${outcome.reason}`,
      'check that this URL leads to the socket port of an outer layer (3001 by default)',
    )
    return
  }
  if (outcome.skewMs !== undefined) yield clockFinding(outcome.skewMs)
  if (outcome.kind === 'proven') {
    yield ok('outer layer', `${url}: ${outcome.agent}`)
    yield ok('proof', `accepted as "${outcome.identifier}"`)
  } else if (outcome.skewMs === undefined) {
    yield fail('outer layer', `${url}: ${outcome.reason} (${outcome.code})`, 'check that both sides are of the same release')
  } else {
    yield ok('outer layer', url)
    const remedy = `give the certificate of key ${privateKey.kid} to the outer layer (--public-key), for this identifier; its log has the exact reason`
    yield fail('proof', `refused as "${identifier}" (${outcome.code})`, remedy)
  }
}

function clockFinding(skewMs: number): Finding {
  const text = `${Math.abs(skewMs / 1000).toFixed(1)} s ${skewMs < 0 ? 'behind' : 'ahead of'} the outer layer`
  if (Math.abs(skewMs) < MAX_SKEW_MS) return ok('clock', text)
  return warn('clock', text, 'set the clocks by NTP: the proof does without, but certificates and log lines go by them')
}

async function* checkAllowList({ allow, origins }: InnerSetup): AsyncGenerator<Finding> {
  let list: AllowList
  try {
    list = new AllowList(allow)
  } catch (error) {
    yield fail('allow-list', messageOf(error), 'correct this --allow')
    return
  }
  if (list.open)
    yield warn('allow-list', 'every host that this machine can reach may be asked for', 'name the allowed ones with --allow HOST:PORT')
  else yield ok('allow-list', allow.join(', '))
  for (const origin of origins) yield await checkOrigin(origin, list)
}

async function checkOrigin(origin: string, list: AllowList): Promise<Finding> {
  const [, name = '', digits = ''] = /^(.+):(\d+)$/.exec(origin) ?? []
  const [host, port] = [name.replace(/^\[(.*)\]$/, '$1'), Number(digits)]
  const remedy = `add --allow ${origin}`
  if (list.check(host, port) === 'no') return fail('origin', `${origin}: not allowed`, remedy)
  try {
    const addresses = await resolve(host)
    const allowed = addresses.filter(address => list.checkAddress(host, address, port))
    if (allowed.length === 0) return fail('origin', `${origin}: ${addresses.join(', ')} is not allowed`, remedy)
    return ok('origin', `${origin}: ${Math.ceil(await reach(allowed[0]!, port))} ms`)
  } catch (error) {
    return fail('origin', `${origin}: ${codeOf(error)}`, connectRemedy(codeOf(error), host, port))
  }
}
