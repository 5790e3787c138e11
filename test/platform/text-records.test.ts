/** Host names outside of the zone, which a TXT record shows to be an account's, asked for at a DNS server. */
import { createSocket } from 'node:dgram'
import { describe, expect, test } from '@jest/globals'
import { createTextRecords } from '../../src/platform/text-records.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { HOUR_MS } from '../../src/service/core/clock.ts'
import { startService } from '../support/service.ts'
import { databases } from '../support/stores.ts'
import { until } from '../support/wait.ts'

/** The name that a query asks for (RFC 1035 §4.1.2), and where it ends. */
const questionOf = (query: Buffer): { readonly name: string; readonly end: number } => {
  const labels: string[] = []
  let at = 12
  while (query[at]! > 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
    at += 1 + query[at]!
  }
  return { name: labels.join('.').toLowerCase(), end: at + 5 }
}

/** A DNS server that has TXT records alone; a name without any is not there, and one of `failing` is not known about. */
const startDns = async (records: ReadonlyMap<string, readonly string[]>, failing: ReadonlySet<string> = new Set()): Promise<string> => {
  const server = createSocket('udp4')
  server.on('message', (query, { port, address }) => {
    const { name, end } = questionOf(query)
    const texts = records.get(name) ?? []
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(failing.has(name) ? 0x8182 : texts.length > 0 ? 0x8180 : 0x8183, 2)
    header.writeUInt16BE(texts.length, 6)
    header.fill(0, 8)
    const answers = texts.map(text => {
      const fixed = Buffer.from([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 0, 0, text.length + 1, text.length])
      return Buffer.concat([fixed, Buffer.from(text)])
    })
    server.send(Buffer.concat([header, query.subarray(12, end), ...answers]), port, address)
  })
  await new Promise<void>(resolve => server.bind(0, '127.0.0.1', resolve))
  onCleanUp(() => void server.close())
  return `127.0.0.1:${server.address().port}`
}

describe('a host name outside of the zone', () => {
  test('belongs to the account that its TXT record names', async () => {
    const records = new Map<string, readonly string[]>()
    const [database] = await databases()
    const given = await startService(await database!.empty(), { textRecords: createTextRecords([await startDns(records)]) })
    const ada = await given.actor('user', { customDomains: true })
    const bob = await given.actor('user', { customDomains: true })
    const create = (): Promise<unknown> =>
      given.service.sockets.create(ada, { name: 'x', customDomains: ['app.example.org', 'www.example.org'] })
    const wanted = `account=${ada.accountId.replaceAll('-', '')}`
    const missing = (at: number, domain: string): object => ({
      path: `customDomains[${at}]`,
      message: expect.stringContaining(`give _socket-gateway.${domain} the TXT record "${wanted}"`),
    })
    await expect(create()).rejects.toMatchObject({
      code: 'INVALID',
      details: [missing(0, 'app.example.org'), missing(1, 'www.example.org')],
    })
    records.set('_socket-gateway.app.example.org', ['something else', wanted])
    records.set('_socket-gateway.www.example.org', [`account=${bob.accountId.replaceAll('-', '')}`])
    await expect(create()).rejects.toMatchObject({ code: 'INVALID', details: [missing(1, 'www.example.org')] })
    records.set('_socket-gateway.www.example.org', [wanted])
    await create()
    // What it has is not asked for again.
    records.clear()
    const [socket] = (await given.service.sockets.list(ada, {})).items
    const changed = await given.service.sockets.update(ada, socket!.id, { customDomains: ['www.example.org'] })
    expect(changed.customDomains).toEqual(['www.example.org'])
    await expect(
      given.service.sockets.update(ada, socket!.id, { customDomains: ['www.example.org', 'new.example.org'] }),
    ).rejects.toMatchObject({ code: 'INVALID', details: [missing(0, 'new.example.org')] })
    given.config = { ...given.config, domainCheck: 'trusted' }
    await given.service.sockets.update(ada, socket!.id, { customDomains: ['www.example.org', 'new.example.org'] })
  })

  test('whose record is gone is told of, and taken from its socket after three days; a DNS that does not answer says nothing', async () => {
    const [records, failing] = [new Map<string, readonly string[]>(), new Set<string>()]
    const [database] = await databases()
    const given = await startService(await database!.empty(), { textRecords: createTextRecords([await startDns(records, failing)]) })
    const { service, clock, letters } = given
    const ada = await given.actor('user', { customDomains: true })
    const proof = [`account=${ada.accountId.replaceAll('-', '')}`]
    const domains = ['back.example.org', 'gone.example.org', 'stays.example.org', 'unknown.example.org']
    for (const domain of domains) records.set(`_socket-gateway.${domain}`, proof)
    const { id } = await service.sockets.create(ada, { name: 'x', customDomains: domains })
    const missing = async (): Promise<string[]> =>
      (
        await given.store.db
          .selectFrom('custom_domains')
          .select('domain')
          .where('missing_since', 'is not', null)
          .orderBy('domain')
          .execute()
      ).map(({ domain }) => domain)

    for (const domain of ['back', 'gone']) records.delete(`_socket-gateway.${domain}.example.org`)
    failing.add('_socket-gateway.unknown.example.org')
    clock.advance(6 * HOUR_MS)
    await until(async () => (await missing()).length === 2 && letters.length === 2)
    expect(await missing()).toEqual(['back.example.org', 'gone.example.org'])
    expect(letters[1]).toMatchObject({
      subject: expect.stringContaining('gone.example.org'),
      text: expect.stringContaining(`\n_socket-gateway.gone.example.org\n\nthe TXT record\n\n${proof[0]!}\n\nwithin three days`),
    })
    expect((await service.sockets.get(ada, id)).customDomains).toEqual(domains)
    // Other changes do not start its time anew.
    await service.sockets.update(ada, id, { customDomains: domains })

    records.set('_socket-gateway.back.example.org', proof)
    clock.advance(72 * HOUR_MS)
    await until(() => letters.length === 3)
    expect(letters[2]?.subject).toBe(`The host name gone.example.org is no longer served by ${given.config.zone}`)
    await until(() => given.plane.sockets.get(id)?.customDomains.length === 3)
    const { customDomains } = await service.sockets.get(ada, id)
    expect(customDomains).toEqual(['back.example.org', 'stays.example.org', 'unknown.example.org'])
    expect(await missing()).toEqual([])
    const actions = (await service.audit.list(ada, {})).items.map(({ action }) => action).filter(action => action.startsWith('domain.'))
    expect(actions.sort()).toEqual(['domain.remove', 'domain.unproven', 'domain.unproven'])
  })
})
