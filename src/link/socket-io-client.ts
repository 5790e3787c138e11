import type * as SocketIoClient from 'socket.io-client'
import { lazily } from '../lazily.ts'

type Module = typeof SocketIoClient

// As CommonJS: of ES modules Node.js takes the set with debug output, and needs twice the time and more to load it.
/** Opens a connection of socket.io. */
export const { io } = lazily<Pick<Module, 'io'>>('socket.io-client')()

/** The transport of engine.io by the WebSockets of Node.js, which socket.io-client passes on in ES modules only. */
export const { NodeWebSocket } = lazily<Pick<Module, 'NodeWebSocket'>>('engine.io-client', 'socket.io-client')()
