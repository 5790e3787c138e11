import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { performance } from 'node:perf_hooks'
import { isThisMachine } from '../../address/this-machine.ts'
import { KubeClient, type KubeAccess } from '../../discovery/kubernetes/kube-client.ts'
import { Leader } from '../../discovery/kubernetes/leader.ts'
import { ServiceStatus } from '../../discovery/kubernetes/service-status.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { kubernetesOptions } from '../options/discovery.ts'
import { createLead } from './kubernetes-leader.ts'
import { publishing } from './publish.ts'

type Values = ValuesOf<typeof kubernetesOptions>

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

const readText = async (file: string): Promise<string> => {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `${file}: ${messageOf(cause)}`, { cause })
  }
}

/** The API server that the options name, or that of the cluster that this process runs in. @throws GatewayError USAGE, FILE_UNREADABLE */
async function accessOf(values: Values, { env }: CliContext): Promise<KubeAccess> {
  const { 'kubernetes-api': api, 'kubernetes-token-file': tokenFile, 'kubernetes-ca': caFile } = values
  const ca = caFile === undefined ? undefined : await readText(caFile)
  if (api !== undefined) {
    const server = URL.canParse(api) ? new URL(api) : undefined
    if (server === undefined || !/^https?:$/.test(server.protocol))
      throw new GatewayError(
        'USAGE',
        `--kubernetes-api ${JSON.stringify(api)}: expected a URL such as http://127.0.0.1:8001 (of "kubectl proxy")`,
      )
    if (server.protocol === 'http:' && tokenFile !== undefined && !isThisMachine(server.hostname))
      throw new GatewayError('USAGE', '--kubernetes-api: a token would go over the network without TLS; use https://')
    return { server, tokenFile, ca }
  }
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (host === undefined)
    throw new GatewayError(
      'USAGE',
      'this is no pod of a cluster (KUBERNETES_SERVICE_HOST is not set); outside of one run "kubectl proxy" and give --kubernetes-api http://127.0.0.1:8001',
    )
  return {
    server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    tokenFile: tokenFile ?? `${ACCOUNT}/token`,
    ca: ca ?? (await readText(`${ACCOUNT}/ca.crt`)),
  }
}

const ownNamespace = (given: string | undefined): Promise<string> =>
  given === undefined
    ? readFile(`${ACCOUNT}/namespace`, 'utf8').then(
        text => text.trim(),
        () => 'default',
      )
    : Promise.resolve(given)

/** `kubernetes`: publishes the Services of a cluster whose annotations ask for it. */
export async function runKubernetes(values: Values, context: CliContext): Promise<ExitStatus> {
  if (values['gateway-controller'] !== undefined && values.targets === undefined)
    throw new GatewayError('USAGE', '--gateway-controller is for --targets, which is missing: sockets of the service have no routes')
  if (values['ingress-controller'] !== undefined && values.targets === undefined)
    throw new GatewayError('USAGE', '--ingress-controller is for --targets, which is missing: sockets of the service have no routes')
  if (
    [values['gateway-controller'], values['ingress-controller']].every(each => each === undefined) &&
    values['certificate-folder'] !== undefined
  )
    throw new GatewayError(
      'USAGE',
      '--certificate-folder is for --gateway-controller or --ingress-controller, which are missing: Services have no certificates',
    )
  const client = new KubeClient(await accessOf(values, context))
  const namespace = await ownNamespace(values['lease-namespace'])
  const identity = `${hostname()} ${randomUUID().slice(0, 8)}`
  try {
    return await publishing(values, context, async (publish, signal, log) => {
      let trouble = ''
      const said = (error: unknown): void => {
        if (messageOf(error) !== trouble) log.warn({ err: error }, 'the API server; trying again')
        trouble = messageOf(error)
      }
      const well = (): void => void (trouble = '')
      const status = new ServiceStatus(client, said, Date.now)
      const lead = async (leading: AbortSignal): Promise<void> => {
        log.info({ identity }, 'this is the one that publishes')
        const either = AbortSignal.any([leading, signal])
        const { source, hooks, close } = createLead({ values, client, trouble: said, well, status, isEnding: () => signal.aborted })
        await publish(source, either, hooks).finally(close)
      }
      const leader = new Leader({ client, namespace, name: values.lease, identity, now: Date.now, clock: () => performance.now() })
      await leader.run(lead, signal, said)
      await status.flushed()
    })
  } finally {
    client.close()
  }
}
