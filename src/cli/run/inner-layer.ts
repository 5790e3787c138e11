import { isThisMachine } from '../../address/this-machine.ts'
import { hostname } from 'node:os'
import { GatewayError } from '../../errors.ts'
import { readCertificates } from '../../identity/certificate-file.ts'
import { readPrivateKey } from '../../identity/private-key.ts'
import { AllowList } from '../../origin/allow-list.ts'
import { proxyFor } from '../../net/http-proxy.ts'
import { createInnerLayer } from '../../inner/inner-layer.ts'
import { readAdminOptions } from '../options/admin.ts'
import type { ExitStatus } from '../command/command.ts'
import { readConfigFile } from '../command/config-file.ts'
import type { CliContext } from '../command/context.ts'
import { certificateFile, PRIVATE_KEY_FILE, readOptionFile } from '../command/option-file.ts'
import type { ValuesOf } from '../command/option.ts'
import { resolveOptions } from '../command/resolve.ts'
import { innerLayerOptions } from '../options/layers.ts'
import { warnOfFileLimit } from '../command/file-limit.ts'
import { createServiceLog, serve } from '../command/serve.ts'
import type { Log } from '../../telemetry/log.ts'
import { checkAcmeOptions } from '../acme/acme-options.ts'
import type { Blind } from '../blind/open-blind.ts'
import { withInvitation } from './join-outer-layer.ts'

const CA_FILE = certificateFile('--outer-layer-ca', 'of the authorities to trust')
const CLIENT_FILE = certificateFile('--inner-layer-certificate', 'of the private key')

const isEncrypted = (url: URL): boolean => url.protocol === 'wss:' || url.protocol === 'https:'

/** Checks that connections which leave this machine use TLS, unless the options allow them without. */
function checkEncryption(urls: readonly string[], isInsecureAllowed: boolean): void {
  const open = urls.map(url => new URL(url)).filter(url => !isEncrypted(url) && !isThisMachine(url.hostname))
  if (open.length === 0 || isInsecureAllowed) return
  const names = open.map(url => `${url.protocol}//${url.host}`).join(', ')
  throw new GatewayError(
    'USAGE',
    `--outer-layer ${names}: not encrypted, everybody on the way could read and change requests; use wss://, or pass --insecure`,
  )
}

/** Options that mean something with --tls-for alone. */
const NEED_NAMES = ['targets', 'visitors', 'hsts', 'acme'] as const

/** Prepares TLS that ends here; without it, nothing of it is loaded. @throws GatewayError USAGE */
async function openBlind(
  options: ValuesOf<typeof innerLayerOptions>,
  facts: { readonly identifier: string; readonly context: CliContext; readonly log: Log },
): Promise<Blind | undefined> {
  if (options['tls-for'].length > 0) return (await import('../blind/open-blind.ts')).openBlind(options, facts)
  const useless = [
    ...NEED_NAMES.filter(name => options[name] !== undefined),
    ...(['target', 'tls-certificate', 'tls-key'] as const).filter(name => options[name].length > 0),
  ]
  if (useless.length > 0)
    throw new GatewayError('USAGE', `--${useless.join(', --')}: for names whose TLS ends at this inner layer; name them with --tls-for`)
  return undefined
}

/**
 * Runs the inner layer until the process is asked to end.
 * @throws GatewayError when a file is not valid or an URL is not encrypted
 */
export async function runInnerLayer(given: ValuesOf<typeof innerLayerOptions>, context: CliContext): Promise<ExitStatus> {
  checkAcmeOptions(given)
  const options = await withInvitation(given, context)
  const urls = [...new Set(options['outer-layer'])]
  checkEncryption(urls, options.insecure)
  const allowList = new AllowList(options.allow)
  const privateKey = await readOptionFile(options['private-key'], PRIVATE_KEY_FILE, readPrivateKey)
  const caFile = options['outer-layer-ca']
  const ca = caFile === undefined ? undefined : await readOptionFile(caFile, CA_FILE, file => readCertificates(file))
  const clientFile = options['inner-layer-certificate']
  const clientCertificate =
    clientFile === undefined ? undefined : await readOptionFile(clientFile, CLIENT_FILE, file => readCertificates(file, privateKey.key))
  const admin = await readAdminOptions(options)
  const log = await createServiceLog(options, context)
  const inspection =
    options.inspect === undefined
      ? undefined
      : new (await import('../inspect/inspection.ts')).OriginInspection(options.inspect, options, log)
  const identifier = options.identifier ?? hostname()
  const blind = await openBlind(options, { identifier, context, log })
  const layer = createInnerLayer(
    {
      privateKey,
      outerLayers: urls,
      identifier,
      isIdentifierDefault: options.identifier === undefined,
      ...(ca !== undefined && { outerLayerCa: ca }),
      ...(clientCertificate !== undefined && { clientCertificate }),
      proxyFor: url => options.proxy ?? proxyFor(url, context.env),
      connections: options.connections,
      nodes: options.nodes,
      allowList,
      drainTimeoutMs: options['drain-timeout'],
      ...(admin !== undefined && { admin }),
      ...(blind !== undefined && { tlsNames: blind.names, onUp: () => blind.up() }),
      ...(inspection !== undefined && { taps: inspection.taps }),
      ...(context.onMoved !== undefined && { onMoved: context.onMoved }),
    },
    { log },
  )
  const count = layer.maxStreams
  warnOfFileLimit(
    log,
    { count, because: `outer layers may send ${count} requests at a time, each with a connection to its origin` },
    context,
  )
  inspection?.serves(layer)
  const start = async (): Promise<void> => {
    await inspection?.start()
    if (inspection !== undefined) log.info({ url: inspection.url }, `inspector at ${inspection.url}`)
    await blind?.start(layer)
    await layer.start()
  }
  // Both at once: those who come through an outer layer are served to the end, and nobody else comes.
  const close = async (): Promise<void> => {
    await Promise.all([blind?.drain(), layer.close()])
  }
  await serve(
    { start, close },
    log,
    context,
    [inspection, blind].filter(part => part !== undefined),
  )
  return 0
}

/**
 * The same with the options of a file that was written just now: what stands there counts before the environment.
 * @throws GatewayError as runInnerLayer, and USAGE or FILE_UNREADABLE for the file
 */
export async function runInnerLayerOf(file: string, context: CliContext): Promise<ExitStatus> {
  const config = await readConfigFile(file, innerLayerOptions)
  const flags = Object.fromEntries([...config].map(([name, { texts }]) => [name, texts]))
  return runInnerLayer(resolveOptions(innerLayerOptions, { flags, env: context.env, config }), context)
}
