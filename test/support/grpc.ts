/** A service of gRPC without generated code: messages are bytes, as they stand. */
import {
  credentials,
  makeGenericClientConstructor,
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ChannelCredentials,
  type Client,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { onCleanUp } from './cleanup.ts'

const asIs = { requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same }
function same(bytes: Buffer): Buffer {
  return bytes
}

const method = (name: string, requestStream: boolean, responseStream: boolean): ServiceDefinition[string] => ({
  path: `/test.Bytes/${name}`,
  requestStream,
  responseStream,
  ...asIs,
})

/** The four kinds of calls. */
const service = {
  unary: method('Unary', false, false),
  serverStream: method('ServerStream', false, true),
  clientStream: method('ClientStream', true, false),
  bidi: method('Bidi', true, true),
} as const satisfies ServiceDefinition

/** What a server does; what is absent is UNIMPLEMENTED. */
export interface Handlers {
  unary?: handleUnaryCall<Buffer, Buffer> | undefined
  serverStream?: handleServerStreamingCall<Buffer, Buffer> | undefined
  clientStream?: handleClientStreamingCall<Buffer, Buffer> | undefined
  bidi?: handleBidiStreamingCall<Buffer, Buffer> | undefined
}

/** A server on a free port; the handlers may be exchanged. */
export const startGrpcServer = async (tls?: {
  readonly certificate: string
  readonly key: string
}): Promise<{ port: number; handlers: Handlers }> => {
  const handlers: Handlers = {}
  const server = new Server({ 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 })
  const missing = { code: status.UNIMPLEMENTED, details: 'not in this test' }
  server.addService(service, {
    unary: (call, done) => (handlers.unary === undefined ? done(missing) : handlers.unary(call, done)),
    serverStream: call => (handlers.serverStream === undefined ? call.emit('error', missing) : handlers.serverStream(call)),
    clientStream: (call, done) => (handlers.clientStream === undefined ? done(missing) : handlers.clientStream(call, done)),
    bidi: call => (handlers.bidi === undefined ? call.emit('error', missing) : handlers.bidi(call)),
  } satisfies Required<Handlers>)
  const how =
    tls === undefined
      ? ServerCredentials.createInsecure()
      : ServerCredentials.createSsl(null, [{ cert_chain: Buffer.from(tls.certificate), private_key: Buffer.from(tls.key) }])
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', how, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  )
  onCleanUp(() => server.forceShutdown())
  return { port, handlers }
}

const Constructor = makeGenericClientConstructor(service, 'Bytes')

/** A client that speaks to `address`; by TLS when there is an authority. */
export const openGrpcClient = (address: string, ca?: string, options: object = {}): Client => {
  const how: ChannelCredentials = ca === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(ca))
  const client = new Constructor(address, how, {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
    'grpc.use_local_subchannel_pool': 1,
    ...options,
  })
  onCleanUp(() => client.close())
  return client
}

/** Paths of the four kinds, and how their messages are made. */
export const PATH = {
  unary: service.unary.path,
  serverStream: service.serverStream.path,
  clientStream: service.clientStream.path,
  bidi: service.bidi.path,
}
export { same, Metadata, status }
