/** What TCP ports are compared with: a plain relay of one hop, `node --import tsx bench/tcp-relay.ts PORT TARGET_PORT`. */
import { connect, createServer } from 'node:net'

const [port, targetPort] = process.argv.slice(2).map(Number)

createServer({ allowHalfOpen: true, noDelay: true }, client => {
  const target = connect({ port: targetPort!, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
  client.on('error', () => target.destroy())
  target.on('error', () => client.destroy())
  client.pipe(target)
  target.pipe(client)
}).listen(port, '127.0.0.1', 4096)
process.on('disconnect', () => process.exit())
