/**
 * The origin of TCP connections: `node --import tsx bench/tcp-origin.ts PORT`. The first line says what a connection is for: `send N`
 * (so many bytes, then an end), `sink` (reads up to the end, then answers how much it was), `echo`.
 */
import { createServer, type Socket } from 'node:net'
import { pour } from './pour.ts'

const serve = (socket: Socket, command: string, rest: Buffer): void => {
  const [verb, argument] = command.split(' ')
  if (verb === 'send') return pour(socket, Number(argument))
  if (verb === 'echo') {
    socket.write(rest)
    return void socket.pipe(socket)
  }
  let bytes = rest.length
  socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
  socket.on('end', () => socket.end(`${bytes}\n`))
}

createServer({ allowHalfOpen: true, noDelay: true }, socket => {
  socket.on('error', () => undefined)
  let head = Buffer.alloc(0)
  const read = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk])
    const end = head.indexOf('\n')
    if (end < 0) return
    socket.off('data', read)
    serve(socket, head.subarray(0, end).toString('latin1'), head.subarray(end + 1))
  }
  socket.on('data', read)
}).listen(Number(process.argv[2]), '127.0.0.1', 4096)
process.on('disconnect', () => process.exit())
