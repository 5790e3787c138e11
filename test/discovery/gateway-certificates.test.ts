/** `certificateRefs` of listeners: which Secrets count, and the folder that gets them. Cases of the conformance suite have its names. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from '@jest/globals'
import { parseYaml } from '../../src/config/document/yaml.ts'
import { CertificateBook } from '../../src/discovery/kubernetes/certificates/certificate-book.ts'
import { pairOf, type Secret } from '../../src/discovery/kubernetes/certificates/secrets.ts'
import type { Gateway, ReferenceGrant } from '../../src/discovery/kubernetes/gateway/objects.ts'
import type { MintedPair } from '../../src/identity/certificate.ts'
import { CertificateStore } from '../../src/tls/certificate-store.ts'
import { begin } from '../cli/context.ts'
import { mintServer } from '../support/certificates.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'
import { CONTROLLER, gateway, meta, read, route, to, type Spec } from './gateway-world.ts'
import { startKubeApi } from './kube-api.ts'

let one: MintedPair
let two: MintedPair
let wide: MintedPair
let expired: MintedPair

beforeAll(async () => {
  one = await mintServer(['a.example.com'])
  two = await mintServer(['a.example.com', 'b.example.com'])
  wide = await mintServer(['*.example.com'])
  expired = await mintServer(['a.example.com'], undefined, { now: new Date('2020-01-01T00:00:00Z') })
})

const valuesOf = ({ certificatePem, privateKeyPem }: MintedPair) => ({ 'tls.crt': certificatePem, 'tls.key': privateKeyPem })
const base64 = (values: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]))
const secret = (name: string, pair: MintedPair, namespace = 'default', more: Partial<Secret> = {}): Secret => ({
  metadata: { name, namespace },
  type: 'kubernetes.io/tls',
  data: base64(valuesOf(pair)),
  ...more,
})
const bookOf = (secrets: readonly Secret[], allowed: readonly string[] = []): CertificateBook =>
  new CertificateBook({ secrets: new Map(secrets.map(each => [`${each.metadata.namespace}/${each.metadata.name}`, each])), allowed })

const https = (refs: readonly Spec[], more: Spec = {}): Spec => ({
  name: 'https',
  port: 443,
  protocol: 'HTTPS',
  tls: { certificateRefs: refs },
  ...more,
})
const grant = (to: Spec = {}, from: Spec = {}): ReferenceGrant => ({
  metadata: meta('grant', 'certs'),
  spec: {
    from: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'default', ...from }],
    to: [{ group: '', kind: 'Secret', ...to }],
  },
})

/** Conditions of the only listener that are not as they should be, and names of the Secrets that are served. */
const judged = (
  listener: Spec,
  secrets: readonly Secret[],
  world: { grants?: readonly ReferenceGrant[]; allowed?: readonly string[] } = {},
) => {
  const book = bookOf(secrets, world.allowed)
  const { gatewayOf, hosts } = read([route([to('web')])], {
    gateways: [gateway({ listeners: [listener] })],
    grants: world.grants ?? [],
    book,
  })
  const [wrong] = gatewayOf().listeners
  return { wrong, hosts: Object.keys(hosts), held: book.held.map(({ namespace, name }) => `${namespace}/${name}`) }
}

const SERVED = { wrong: {}, hosts: ['a.example.com'] }
const refused = (reason: string) => ({
  wrong: { ResolvedRefs: expect.stringMatching(reason), Programmed: expect.anything() },
  hosts: [],
  held: [],
})

describe('certificateRefs of a listener', () => {
  test('are Secrets of its namespace, one or several', () => {
    expect(judged(https([{ name: 'one' }]), [secret('one', one)])).toEqual({ ...SERVED, held: ['default/one'] })
    const both = https([
      { group: '', kind: 'Secret', name: 'one' },
      { name: 'wide', namespace: 'default' },
    ])
    expect(judged(both, [secret('one', one), secret('wide', wide), secret('other', two)])).toEqual({
      ...SERVED,
      held: ['default/one', 'default/wide'],
    })
  })

  // GatewayInvalidTLSConfiguration
  test.each<readonly [string, readonly Spec[], (pair: MintedPair) => readonly Secret[], string]>([
    ['no Secret', [{ name: 'gone' }], () => [], '^InvalidCertificateRef: there is no Secret default/gone of the type kubernetes.io/tls$'],
    ['another group', [{ group: 'wrong.group.io', name: 's' }], pair => [secret('s', pair)], '^InvalidCertificateRef: .*expected Secret'],
    ['another kind', [{ kind: 'WrongKind', name: 's' }], pair => [secret('s', pair)], '^InvalidCertificateRef: .*WrongKind'],
    ['nothing', [], () => [], '^InvalidCertificateRef: certificateRefs are missing'],
    ['another type', [{ name: 's' }], pair => [secret('s', pair, 'default', { type: 'Opaque' })], 'is not of the type kubernetes.io/tls'],
    [
      'a certificate that is none',
      [{ name: 's' }],
      pair => [secret('s', pair, 'default', { data: base64({ ...valuesOf(pair), 'tls.crt': 'hello' }) })],
      'tls.crt: no certificate found',
    ],
    [
      'a key that is none',
      [{ name: 's' }],
      pair => [secret('s', pair, 'default', { data: base64({ ...valuesOf(pair), 'tls.key': 'sesame' }) })],
      'tls.key is no private key',
    ],
    [
      'no key',
      [{ name: 's' }],
      pair => [secret('s', pair, 'default', { data: base64({ 'tls.crt': pair.certificatePem }) })],
      'has no tls.key',
    ],
    [
      'the key of another',
      [{ name: 's' }],
      pair => [secret('s', pair, 'default', { data: base64({ 'tls.crt': pair.certificatePem, 'tls.key': two.privateKeyPem }) })],
      'do not belong together',
    ],
  ])('%s: refused, in words without the key', (_, refs, secrets, reason) => {
    const { wrong, ...rest } = judged(https(refs), secrets(one))
    expect({ wrong, ...rest }).toEqual(refused(reason))
    expect(JSON.stringify(wrong)).not.toMatch(/sesame|PRIVATE/)
  })

  test('GatewaySecretMissingReferenceGrant, -InvalidReferenceGrant, -AllInNamespace, -Specific', () => {
    const listener = https([{ name: 'cert', namespace: 'certs' }])
    const secrets = [secret('cert', one, 'certs')]
    const given = (...grants: readonly ReferenceGrant[]) => judged(listener, secrets, { grants })
    const no = refused('^RefNotPermitted: no ReferenceGrant of certs')
    expect(given()).toEqual(no)
    for (const other of [
      grant({}, { kind: 'HTTPRoute' }),
      grant({}, { namespace: 'team' }),
      grant({ kind: 'Service' }),
      grant({ name: 'x' }),
      grant({}, { group: '' }),
    ])
      expect(given(other)).toEqual(no)
    const yes = { ...SERVED, held: ['certs/cert'] }
    expect(given(grant())).toEqual(yes)
    expect(given(grant({ name: 'cert' }))).toEqual(yes)
  })

  test('have to be for its hostname, and for hosts that --allow-host has', () => {
    const at = (hostname: string, name: string) => judged(https([{ name }], { hostname }), [secret('one', one), secret('wide', wide)])
    expect(at('a.example.com', 'one').held).toEqual(['default/one'])
    expect(at('a.example.com', 'wide').held).toEqual(['default/wide'])
    expect(at('*.example.com', 'wide').held).toEqual(['default/wide'])
    expect(at('*.example.com', 'one').wrong).toMatchObject({
      ResolvedRefs: 'InvalidCertificateRef: no certificate of certificateRefs is for *.example.com',
    })
    const allowed = (...hosts: readonly string[]) => judged(https([{ name: 'two' }]), [secret('two', two)], { allowed: hosts }).wrong
    expect(allowed('*.example.com')).toEqual({})
    expect(allowed('a.example.com')).toMatchObject({
      ResolvedRefs: expect.stringMatching('is for b.example.com; --allow-host has a.example.com'),
    })
  })

  test('one that has expired goes on counting: its routes stay, and the layer says so', () => {
    expect(judged(https([{ name: 'old' }]), [secret('old', expired)])).toEqual({ ...SERVED, held: ['default/old'] })
  })

  test('a namespace gets no name for which a certificate of another one is served already', () => {
    const book = bookOf([secret('s', one), secret('s', two, 'team'), secret('t', two)])
    const of = (namespace: string, age: number, name = 's'): Gateway =>
      gateway({ listeners: [https([{ name }])] }, meta(`g${age}`, namespace, age))
    const { gatewayOf } = read([], { gateways: [of('team', 2), of('default', 1), of('default', 3, 't')], book })
    expect(gatewayOf('team/g2').listeners[0]).toMatchObject({
      ResolvedRefs: expect.stringMatching('is for a.example.com, which one of another namespace'),
    })
    expect(gatewayOf('default/g3').listeners).toEqual([{}])
    expect(book.held.map(({ namespace, name }) => `${namespace}/${name}`)).toEqual(['default/s', 'default/t'])
  })
})

test('a name of a Secret that would be another file is refused', () => {
  for (const name of ['../evil', 'a/b', '.hidden', '', 'A', `a${'b'.repeat(300)}`])
    expect(() => pairOf(secret(name, one))).toThrow('has another name than Kubernetes gives')
})

describe('kubernetes --certificate-folder', () => {
  const start = async () => {
    const api = await startKubeApi()
    const [folder, file] = [join(tempDir(), 'certificates'), join(tempDir(), 'found.yaml')]
    api.put('gatewayclasses', 'ours', { controllerName: CONTROLLER }, { namespace: '' })
    api.put('gateways', 'edge', { gatewayClassName: 'ours', listeners: [https([{ name: 'cert' }])] })
    const running = begin([
      'kubernetes',
      '--kubernetes-api',
      api.url,
      '--targets',
      file,
      '--gateway-controller',
      CONTROLLER,
      '--certificate-folder',
      folder,
    ])
    onCleanUp(() => void running.stop())
    return { api, folder, file, running }
  }

  test('holds what listeners have, follows what becomes of it, and touches no other file', async () => {
    const { api, folder, running } = await start()
    await until(() => JSON.stringify(api.statusOf('gateways', 'default/edge') ?? '').includes('InvalidCertificateRef'))
    expect(readdirSync(folder)).toEqual([])
    writeFileSync(join(folder, 'mine.crt'), one.certificatePem)
    writeFileSync(join(folder, 'mine.key'), one.privateKeyPem, { mode: 0o600 })
    const files = (): string[] => readdirSync(folder).filter(name => name.startsWith('k8s.'))
    api.secret('cert', valuesOf(two))
    api.secret('other', valuesOf(two))
    await until(() => files().length === 2)
    expect(files().sort()).toEqual(['k8s.default.cert.crt', 'k8s.default.cert.key'])
    expect(statSync(join(folder, 'k8s.default.cert.key')).mode & 0o777).toBe(0o600)
    // As the layer beside it reads it.
    const store = new CertificateStore({ certificates: [folder], keys: [], pollMs: 20 })
    onCleanUp(() => store.close())
    await store.start()
    expect(store.match('b.example.com').covers('b.example.com')).toBe(true)
    api.secret('cert', valuesOf(wide))
    await until(() => store.match('c.example.com').covers('c.example.com'))
    expect(readFileSync(join(folder, 'k8s.default.cert.crt'), 'utf8')).toBe(wide.certificatePem)
    api.drop('secrets', 'default/cert')
    await until(() => files().length === 0)
    expect(readdirSync(folder).sort()).toEqual(['mine.crt', 'mine.key'])
    expect(`${running.stdout()}${running.stderr()}`).not.toContain('PRIVATE')
    // With the rights of deploy/kubernetes/certificates.yaml, and no others.
    const [role] = readFileSync('deploy/kubernetes/certificates.yaml', 'utf8').split(/^---$/m)
    expect(parseYaml(role!, 'certificates.yaml').value).toMatchObject({
      rules: [{ apiGroups: [''], resources: ['secrets'], verbs: ['list', 'watch'] }],
    })
    const asked = new Set(api.requests.filter(each => each.includes('secrets')))
    expect([...asked].sort()).toEqual(['GET /api/v1/secrets', 'GET /api/v1/secrets?watch'])
  })

  test('a folder that cannot be written is said, and what was published stays', async () => {
    const { api, folder, file, running } = await start()
    await until(() => existsSync(folder) && existsSync(file))
    const before = readFileSync(file, 'utf8')
    // Where the certificate is to go there is a folder.
    writeFileSync(join(folder, 'k8s.x'), '')
    mkdirSync(join(folder, 'k8s.default.cert.crt'))
    mkdirSync(join(folder, 'k8s.default.cert.crt', 'x'))
    api.secret('cert', valuesOf(one))
    await until(() => running.stdout().includes('--certificate-folder') || running.stderr().includes('--certificate-folder'))
    expect(readFileSync(file, 'utf8')).toBe(before)
  })

  test('is for --gateway-controller', async () => {
    const running = begin(['kubernetes', '--certificate-folder', 'x', '--targets', 'y'])
    expect(await running.stop()).toBe(2)
    expect(running.stderr()).toContain('--certificate-folder is for --gateway-controller or --ingress-controller, which are missing')
  })
})
