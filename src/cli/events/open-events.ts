import { randomBytes } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readEventsConfig, type EventsConfig, type WebhookConfig } from '../../config/events/events-file.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { lineOf, readEvents } from '../../events/delivery/event-log.ts'
import { MailDigest } from '../../events/delivery/mail-digest.ts'
import { sendTo } from '../../events/delivery/send.ts'
import { mintSecret, readSecret } from '../../events/delivery/signature.ts'
import { StateFile } from '../../events/delivery/state-file.ts'
import { Webhook } from '../../events/delivery/webhook.ts'
import type { GatewayEvent } from '../../events/event.ts'
import { matcherOf } from '../../events/event-filter.ts'
import type { Events } from '../../events/events.ts'
import { createMailer } from '../../mail/mailer.ts'
import { messageIdOf } from '../../mail/smtp.ts'
import { LogFile } from '../../telemetry/log-file.ts'
import type { Log } from '../../telemetry/log.ts'
import { writeNewFiles } from '../command/new-files.ts'
import { readPasswordFile } from '../options/admin.ts'

const OWNER_ONLY = 0o600
/** For how long a letter about events is of use, milliseconds. */
const LETTER_MS = 86_400_000
/** For letters that wait when the process ends, milliseconds. */
const LAST_LETTERS_MS = 2_000
const LOOK_MS = 20

/** The receivers of events, until `close`. */
export interface Told {
  close(): Promise<void>
}

/**
 * Reads the file of `--events`, takes the events of earlier runs, and tells from now on whoever it names.
 * @throws ConfigError CONFIG_INVALID with every fault; GatewayError FILE_UNREADABLE, KEY_INVALID
 */
export async function openEvents(file: string, events: Events, log: Log): Promise<Told> {
  const config = await readEventsConfig(file)
  await makeDirectory(config.stateDirectory)
  const { book } = events
  const known = await readEvents(config.log.path)
  book.restore(known)
  const eventLog = new LogFile({ ...config.log, nowMs: Date.now, onFault: message => log.error({}, message) })
  await eventLog.open()
  const closing: (() => Promise<void>)[] = [() => eventLog.close()]
  book.listen(event => eventLog.write(lineOf(event)))
  try {
    for (const hook of config.webhooks) {
      const webhook = await createWebhook(hook, config, events, log)
      await webhook.start()
      book.listen(event => webhook.take(event))
      closing.push(() => webhook.close())
    }
    if (config.mail !== undefined) closing.push(await startMail(config.mail, { directory: config.stateDirectory, known, events }, log))
  } catch (thrown) {
    await Promise.all(closing.map(close => close()))
    throw thrown
  }
  return {
    close: async () => {
      events.close()
      await Promise.all(closing.reverse().map(close => close()))
    },
  }
}

async function makeDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `state ${directory}: ${messageOf(cause)}; name a folder that this account may write to`, {
      cause,
    })
  }
}

async function createWebhook(
  { name, url, secretFile, filter }: WebhookConfig,
  config: EventsConfig,
  events: Events,
  log: Log,
): Promise<Webhook> {
  const place = `webhook ${name}`
  return new Webhook({
    name,
    secret: await secretOf(secretFile, name, log),
    send: sendTo(new URL(url)),
    fits: matcherOf(filter),
    state: new StateFile(join(config.stateDirectory, `webhook-${name}.json`), message => log.error({}, `${place}: ${message}`)),
    source: randomBytes(6).toString('hex'),
    nowMs: Date.now,
    random: Math.random,
    onTurn: (isWell, waiting, reason) =>
      events.turn('webhook', isWell, { subject: name, fields: { webhook: name, waiting, ...(reason !== undefined && { reason }) } }),
    onDropped: (count, event, reason) => {
      log.error({ webhook: name, count, event, reason }, `${count} events for the ${place} are given up: ${reason}`)
      events.tell('webhook.dropped', { subject: name, fields: { webhook: name, reason, event } })
    },
    onFault: thrown => log.error({ err: thrown }, `internal fault in the ${place}`),
  })
}

/** The secret in a file; one is made where there is none, to be given to the receiver. */
async function secretOf(file: string, name: string, log: Log): Promise<Buffer> {
  const isThere = await readFile(file).then(
    () => true,
    (thrown: unknown) => (thrown as NodeJS.ErrnoException).code !== 'ENOENT',
  )
  if (!isThere) {
    await writeNewFiles([{ path: file, mode: OWNER_ONLY, text: `${mintSecret()}\n` }], false)
    log.info({ webhook: name, file }, `a secret for the webhook ${name} was made: give its receiver what stands in ${file}`)
  }
  const text = await readPasswordFile(file, `webhooks.${name}.secretFile`)
  try {
    return readSecret(text)
  } catch (cause) {
    throw new GatewayError('KEY_INVALID', `${file}: ${messageOf(cause)}; remove the file, and one is made`, { cause })
  }
}

async function startMail(
  mail: NonNullable<EventsConfig['mail']>,
  { directory, known, events }: { readonly directory: string; readonly known: readonly GatewayEvent[]; readonly events: Events },
  log: Log,
): Promise<() => Promise<void>> {
  const { smtp, from, to, passwordFile, everyMs, filter } = mail
  const password = passwordFile === undefined ? undefined : await readPasswordFile(passwordFile, 'mail.passwordFile')
  const mailer = await createMailer({
    place: smtp === undefined ? { kind: 'outbox', directory: join(directory, 'outbox'), from } : { kind: 'smtp', url: smtp, from },
    directory,
    ...(password !== undefined && { password }),
    onLost: why => log.error({}, `a letter about events is given up: ${why}`),
    onAway: why => log.warn({}, `letters about events wait, the mail server does not take them: ${why}`),
    onBack: () => log.info({}, 'the mail server takes letters about events again'),
  })
  const digest = new MailDigest({
    to,
    from: 'socket-gateway',
    fits: matcherOf(filter),
    send: (letter, messageId) =>
      new Promise((resolve, reject) => {
        mailer.send(letter, { messageId, maxAgeMs: LETTER_MS, onSettled: resolve }).catch(reject)
      }),
    newId: () => messageIdOf(from),
    state: new StateFile(join(directory, 'mail.json'), message => log.error({}, `mail: ${message}`)),
    everyMs,
    nowMs: Date.now,
    onFault: thrown => log.error({ err: thrown }, 'a letter about events was not sent'),
  })
  await digest.start(known)
  events.book.listen(event => digest.take(event))
  return async () => {
    await digest.close()
    // A mailer that is closed leaves what waits, and the last letter says why the process has ended.
    const endMs = Date.now() + LAST_LETTERS_MS
    while (mailer.waiting > 0 && Date.now() < endMs) await delay(LOOK_MS)
    await mailer.close()
    await digest.kept()
  }
}
