/** A link with delay and rate as a process: `node --import tsx bench/relay.ts PORT TARGET_PORT DELAY_MS BYTES_PER_SECOND`. */
import { startRelay } from '../test/support/relay.ts'

const [listenPort = 0, target = 0, delayMs = 0, bytesPerSecond = Infinity] = process.argv.slice(2).map(Number)
await startRelay({ target: { host: '127.0.0.1', port: target }, delayMs, bytesPerSecond, listen: { port: listenPort } })
process.on('disconnect', () => process.exit())
