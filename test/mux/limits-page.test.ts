import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { MAX_FIELDS } from '../../src/http/fields.ts'
import { DEFAULT_LIMITS, GROWTH_BUDGET_BYTES } from '../../src/mux/limits.ts'
import { MAX_MESSAGE_BYTES } from '../../src/mux/link.ts'
import { DEFAULT_TIMING } from '../../src/mux/liveness.ts'
import { MAX_WINDOW_BYTES } from '../../src/mux/receive-window.ts'
import { MAX_HANDSHAKE_BYTES } from '../../src/wire/control.ts'
import { MAX_BATCH_FRAMES, MAX_PAYLOAD_BYTES } from '../../src/wire/frame.ts'
import { ROOT } from '../support/process.ts'

const page = readFileSync(join(ROOT, 'docs/limits.md'), 'utf8')
const grouped = (value: number): string => value.toLocaleString('en')

test.each([
  ['message', `${grouped(MAX_MESSAGE_BYTES)} bytes`],
  ['frames in one message', grouped(MAX_BATCH_FRAMES)],
  ['payload of a frame, and so each head', `${grouped(MAX_PAYLOAD_BYTES)} bytes`],
  ['fields of one head', grouped(MAX_FIELDS)],
  ['streams open at a time in one session, both directions together', grouped(DEFAULT_LIMITS.streams)],
  ['window of a stream at first', `${grouped(DEFAULT_LIMITS.windowBytes)} bytes`],
  ['window of a stream at last', `${grouped(MAX_WINDOW_BYTES)} bytes`],
  ['growth of all windows of one process', `${grouped(GROWTH_BUDGET_BYTES)} bytes`],
  ['silence before a PING', `${DEFAULT_TIMING.pingAfterMs / 1000} s`],
  ['silence, or queued bytes of which none leaves', `${DEFAULT_TIMING.deadAfterMs / 1000} s`],
  ['message of the handshake', `${grouped(MAX_HANDSHAKE_BYTES)} bytes`],
])('docs/limits.md gives the number of the code for "%s"', (limit, number) => {
  expect(page).toContain(`| ${limit} | ${number} |`)
})
