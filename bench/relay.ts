/**
 * A link with delay and rate as a process: `node --import tsx bench/relay.ts PORT TARGET_PORT DELAY_MS BYTES_PER_SECOND`. A number that
 * its parent sends is the delay from then on, milliseconds.
 */
import { startRelay } from '../test/support/relay.ts'

const [listenPort = 0, target = 0, delayMs = 0, bytesPerSecond = Infinity] = process.argv.slice(2).map(Number)
const relay = await startRelay({ target: { host: '127.0.0.1', port: target }, delayMs, bytesPerSecond, listen: { port: listenPort } })
process.on('message', (ms: number) => relay.setDelay(ms))
process.on('disconnect', () => process.exit())
