/** Host names outside of the zone, which a TXT record shows to be an account's, asked for at a DNS server. */
import { createSocket } from 'node:dgram'
import { describe, expect, test } from '@jest/globals'
import { createTextRecords } from '../../src/platform/text-records.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { startService } from '../support/service.ts'
import { databases } from '../support/stores.ts'

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

/** A DNS server that has TXT records alone; a name without any is not there. */
const startDns = async (records: ReadonlyMap<string, readonly string[]>): Promise<string> => {
  const server = createSocket('udp4')
  server.on('message', (query, { port, address }) => {
    const { name, end } = questionOf(query)
    const texts = records.get(name) ?? []
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(texts.length > 0 ? 0x8180 : 0x8183, 2)
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
})
