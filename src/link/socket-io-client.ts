import type * as SocketIoClient from 'socket.io-client'
import { lazily } from '../lazily.ts'

type Module = typeof SocketIoClient
/** The transport of engine.io by the WebSockets of Node.js. */
export type WebSocketTransport = Module['NodeWebSocket']

// As CommonJS: of ES modules Node.js takes the set with debug output, and needs twice the time and more to load it. By the first that dials: an
// outer layer that is no node of a cluster never does.
/** Loads what opens connections of socket.io. */
export const loadClient = lazily<Pick<Module, 'io'>>('socket.io-client')

/** Loads the transports of engine.io, which socket.io-client passes on in ES modules only. */
export const loadTransports = lazily<Pick<Module, 'NodeWebSocket'>>('engine.io-client', 'socket.io-client')
