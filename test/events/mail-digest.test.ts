/** Letters about events, over ends of the process that nobody has asked for. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { MailDigest } from '../../src/events/delivery/mail-digest.ts'
import { StateFile } from '../../src/events/delivery/state-file.ts'
import { EventBook } from '../../src/events/event-book.ts'
import type { GatewayEvent } from '../../src/events/event.ts'
import type { Letter } from '../../src/mail/letter.ts'
import { createMailer } from '../../src/mail/mailer.ts'
import { messageIdOf } from '../../src/mail/smtp.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const FROM = 'gateway@example.com'
const fail = (thrown: unknown): never => {
  throw thrown
}

/** Events of one run. */
function eventsOf(...messages: readonly string[]): GatewayEvent[] {
  const book = new EventBook(Date.now, fail)
  const told: GatewayEvent[] = []
  book.listen(event => told.push(event))
  for (const reason of messages) book.add('tcp-port.closed', { subject: reason, fields: { reason } }, { atMs: Date.now(), count: 1 })
  return told
}

interface Sent {
  readonly letter: Letter
  readonly messageId: string
  readonly settle: () => void
}

/** A run of a digest over a folder. It is killed when nobody looks at it any more. */
async function run(directory: string, { known = [] as readonly GatewayEvent[], everyMs = 0 } = {}) {
  const sent: Sent[] = []
  const state = new StateFile(join(directory, 'mail.json'), fail)
  const digest = new MailDigest({
    to: ['ops@example.com'],
    from: 'test',
    fits: () => true,
    send: (letter, messageId) => new Promise(settle => sent.push({ letter, messageId, settle })),
    newId: () => messageIdOf(FROM),
    state,
    everyMs,
    nowMs: Date.now,
    onFault: fail,
    gatherMs: 1,
  })
  await digest.start(known)
  const first = (): Promise<Sent> => until(() => sent[0], { what: 'the letter' })
  return { digest, sent, first }
}

describe('a process that is killed', () => {
  test('while events wait sends one letter about them in its next run', async () => {
    const directory = tempDir()
    const before = await run(directory, { everyMs: 3_600_000 })
    const [a, b] = eventsOf('first', 'second') as [GatewayEvent, GatewayEvent]
    before.digest.take(a)
    ;(await before.first()).settle()
    await before.digest.kept()
    // So soon after the first letter this one waits for an hour, over the kill as well.
    before.digest.take(b)
    await before.digest.kept()
    const { digest, sent } = await run(directory, { known: [a, b], everyMs: 3_600_000 })
    expect(sent).toEqual([])
    await digest.close()
    const { letter } = await until(() => sent[0], { what: 'the letter' })
    expect([sent.length, letter.subject, letter.text.includes('first')]).toEqual([1, expect.stringContaining('second'), false])
  })

  test('before a letter has gone sends the very same one again, and after it has gone none', async () => {
    const directory = tempDir()
    const [event] = eventsOf('only one') as [GatewayEvent]
    const killed = await run(directory)
    killed.digest.take(event)
    const lost = await killed.first()
    const again = await run(directory, { known: [event] })
    const found = await again.first()
    expect([found.letter, found.messageId]).toEqual([lost.letter, lost.messageId])
    found.settle()
    await until(async () => (await again.digest.kept(), !readFileSync(join(directory, 'mail.json'), 'utf8').includes('only one')))
    const last = await run(directory, { known: [event] })
    await last.digest.close()
    expect(last.sent).toEqual([])
  })

  test('before an event was kept finds it in the log, and a first run tells nothing that has long been over', async () => {
    const directory = tempDir()
    const [old, missed] = eventsOf('old', 'missed') as [GatewayEvent, GatewayEvent]
    await (await run(directory, { known: [old] })).digest.close()
    const { digest, sent } = await run(directory, { known: [old, missed] })
    await digest.close()
    const { letter } = await until(() => sent[0], { what: 'the letter' })
    expect([letter.text.includes('missed'), letter.text.includes('old')]).toEqual([true, false])
  })

  test('with a file that is damaged begins anew', async () => {
    const directory = tempDir()
    const [event] = eventsOf('one') as [GatewayEvent]
    const state = new StateFile(join(directory, 'mail.json'), fail)
    for (const value of [7, {}, { sentMs: 0, lastId: '0', omitted: 0, events: [{}], letters: [] }]) {
      await state.write(() => value)
      const { digest, sent } = await run(directory)
      digest.take(event)
      await digest.close()
      expect((await until(() => sent[0], { what: 'the letter' })).letter.text).toContain('one')
    }
  })
})

test('the outbox has a letter once, whoever sends it again', async () => {
  const directory = tempDir()
  const messageId = messageIdOf(FROM)
  for (let i = 0; i < 2; i++) {
    const mailer = await createMailer({ place: { kind: 'outbox', directory: join(directory, 'outbox'), from: FROM }, directory })
    const letter = { to: 'ops@example.com', subject: 'a', text: 'b\n' }
    await new Promise<void>((resolve, reject) => {
      mailer.send(letter, { messageId, maxAgeMs: 60_000, onSettled: resolve }).catch(reject)
    })
    await mailer.close()
  }
  expect(readdirSync(join(directory, 'outbox'))).toHaveLength(1)
})
