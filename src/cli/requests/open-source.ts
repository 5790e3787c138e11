import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { requestPlaceOptions } from '../options/requests.ts'
import type { RequestSource } from './request-source.ts'

/** Opens what the options name: a socket of the service, else an inspector. @throws GatewayError of the login, of the file of the password */
export async function sourceOf(
  values: ValuesOf<typeof requestPlaceOptions>,
  context: CliContext,
): Promise<{ readonly source: RequestSource; readonly done: () => void }> {
  if (values.socket === undefined) {
    const { InspectorClient } = await import('./inspector-client.ts')
    return { source: await InspectorClient.of(values), done: () => undefined }
  }
  const [{ openSession }, { socketIdOf }, { SocketSource }] = await Promise.all([
    import('../client/open.ts'),
    import('../client/find-socket.ts'),
    import('./socket-source.ts'),
  ])
  const session = await openSession({ ...values, json: false }, context)
  const source = new SocketSource(session.client, await socketIdOf(session.client, values.socket))
  return { source, done: session.keepAlive(() => undefined) }
}
