/** Invitations and their texts: a secret counts once, for ten minutes, for its name, and nobody tries for long. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { INVITATION_MS, Invitations, type Joined } from '../../src/enrolment/invitations.ts'
import { formatJoinText, parseJoinText } from '../../src/enrolment/join-text.ts'
import { GatewayError } from '../../src/errors.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { onCleanUp } from '../support/cleanup.ts'

const certificateOf = async (commonName: string): Promise<{ pem: string; kid: string }> => {
  const { certificatePem, thumbprint } = await mintKeyPair({ type: 'ec', commonName, validityYears: 1 })
  return { pem: certificatePem, kid: thumbprint }
}

const create = (accept: (joined: Joined) => Promise<void> = () => Promise.resolve()) => {
  const clock = { ms: 0 }
  const invitations = new Invitations({ clock: () => clock.ms, accept, onExpired: () => undefined })
  onCleanUp(() => invitations.close())
  return { clock, invitations }
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'joined',
    (error: unknown) => (error instanceof GatewayError ? error.code : error),
  )

describe('an invitation', () => {
  test('is taken once, by the certificate of its name', async () => {
    const taken: Joined[] = []
    const { invitations } = create(async joined => void taken.push(joined))
    const secret = invitations.invite('lan-a')
    const [own, other] = [await certificateOf('lan-a'), await certificateOf('lan-b')]
    // A mistake uses nothing up.
    expect(await codeOf(invitations.join(secret, other.pem, '192.0.2.1'))).toBe('INVALID')
    expect(await codeOf(invitations.join(secret, 'no certificate', '192.0.2.1'))).toBe('INVALID')
    expect(await codeOf(invitations.join(secret, `${own.pem}\n# more`, '192.0.2.1'))).toBe('joined')
    expect(taken).toEqual([{ identifier: 'lan-a', kid: own.kid, pem: own.pem }])
    expect(await codeOf(invitations.join(secret, own.pem, '192.0.2.1'))).toBe('INVITATION_INVALID')
  })

  test('is taken by one of two who come at once', async () => {
    const { invitations } = create(() => new Promise(resolve => setImmediate(resolve)))
    const secret = invitations.invite('lan-a')
    const { pem } = await certificateOf('lan-a')
    const codes = await Promise.all([1, 2].map(() => codeOf(invitations.join(secret, pem, '192.0.2.1'))))
    expect(codes.sort()).toEqual(['INVITATION_INVALID', 'joined'])
  })

  test('is good again when the key could not be kept', async () => {
    let isFull = true
    const { invitations } = create(() => (isFull ? Promise.reject(new GatewayError('FILE_UNREADABLE')) : Promise.resolve()))
    const secret = invitations.invite('lan-a')
    const { pem } = await certificateOf('lan-a')
    expect(await codeOf(invitations.join(secret, pem, '192.0.2.1'))).toBe('FILE_UNREADABLE')
    isFull = false
    expect(await codeOf(invitations.join(secret, pem, '192.0.2.1'))).toBe('joined')
  })

  test('is over after ten minutes', async () => {
    const { clock, invitations } = create()
    const secret = invitations.invite('lan-a')
    const { pem } = await certificateOf('lan-a')
    clock.ms = INVITATION_MS
    expect(await codeOf(invitations.join(secret, pem, '192.0.2.1'))).toBe('INVITATION_INVALID')
  })

  test('cannot be guessed for long: ten attempts of an address, a hundred of all, and whoever has the secret still comes', async () => {
    const { invitations } = create()
    const secret = invitations.invite('lan-a')
    const { pem } = await certificateOf('lan-a')
    const attempts = async (address: string): Promise<number> => {
      let refused = 0
      while ((await codeOf(invitations.join('x'.repeat(32), pem, address))) === 'INVITATION_INVALID') refused++
      return refused
    }
    expect(await attempts('192.0.2.1')).toBe(10)
    // The addresses of one network are one.
    expect([await attempts('2001:db8::1'), await attempts('2001:db8::2')]).toEqual([10, 0])
    let all = 20
    for (let i = 0; i < 20; i++) all += await attempts(`198.51.100.${i}`)
    expect(all).toBe(100)
    expect(await codeOf(invitations.join(secret, pem, '192.0.2.1'))).toBe('joined')
  })

  test('is for a name that a certificate can have', () => {
    const { invitations } = create()
    for (const name of ['', 'x'.repeat(65), 'a\nb'])
      expect(() => invitations.invite(name)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})

describe('the text of an invitation', () => {
  const secret = 's'.repeat(32)
  const pin = 'p'.repeat(43)

  test('comes back as it was, whatever the name is, and needs no more than quotes in a shell', () => {
    const name = fc.string({ minLength: 1, maxLength: 64 }).filter(text => /^[^\p{C}]+$/u.test(text) && text.trim() === text)
    fc.assert(
      fc.property(name, fc.option(fc.constant(pin), { nil: undefined }), (identifier, pinned) => {
        const text = formatJoinText({ url: 'wss://gw.example.com:3001', identifier, secret, pin: pinned })
        expect(text).not.toMatch(/['\s"\\]/)
        expect(parseJoinText(text)).toEqual({ url: 'wss://gw.example.com:3001', identifier, secret, pin: pinned })
      }),
    )
  })

  test.each([
    '',
    'wss://gw.example.com',
    `wss://gw.example.com#${secret}`,
    `wss://gw.example.com#lan-a:${secret}:short`,
    `wss://gw.example.com#lan-a:${secret}#x`,
    `https://gw.example.com#lan-a:${secret}`,
    `wss://u:p@gw.example.com#lan-a:${secret}`,
    `wss://gw.example.com#%zz:${secret}`,
  ])('%j is none, and is not repeated', text => {
    let message = ''
    try {
      parseJoinText(text)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toContain('--invite')
    expect(message).not.toContain(secret)
  })
})
