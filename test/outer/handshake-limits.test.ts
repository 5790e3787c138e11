import { Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { HandshakeLimits } from '../../src/outer/inner-layers/handshake-limits.ts'

/** Limits with a clock that the test moves, and the sockets that came. */
const start = () => {
  let nowMs = 0
  const limits = new HandshakeLimits(() => nowMs)
  const sockets: Socket[] = []
  return {
    limits,
    sockets,
    wait: (ms: number): void => {
      nowMs += ms
    },
    come: (address: string): string => {
      const socket = new Socket()
      const refusal = limits.admit(socket, address)
      if (refusal === undefined) sockets.push(socket)
      return refusal ?? 'in'
    },
    isIn: (at: number): boolean => !sockets[at]!.destroyed,
    end: (): void => {
      for (const socket of sockets) limits.proven(socket, 'nobody')
    },
  }
}

describe('connections that have not proven themselves', () => {
  test('are five of an address: the next is refused while the oldest may still be honest, then it takes its place', () => {
    const { come, wait, isIn, limits, end } = start()
    for (let i = 0; i < 5; i++) expect(come('192.0.2.1')).toBe('in')
    expect(come('192.0.2.1')).toBe('too many handshakes')
    wait(500)
    expect([come('192.0.2.1'), isIn(0), isIn(1), limits.size]).toEqual(['in', false, true, 5])
    end()
  })

  test('are 256 of an address from which one has proven itself within the hour', () => {
    const { come, wait, isIn, limits, sockets, end } = start()
    come('192.0.2.1')
    limits.proven(sockets[0]!, '192.0.2.1')
    for (let i = 0; i < 256; i++) expect(come('192.0.2.1')).toBe('in')
    expect(come('192.0.2.1')).toBe('too many handshakes')
    wait(500)
    expect([come('192.0.2.1'), isIn(1), isIn(2), limits.size]).toEqual(['in', false, true, 256])
    end()
    // Not for ever, and nobody else's.
    wait(2 * 3_600_000)
    for (const address of ['192.0.2.1', '192.0.2.2']) {
      for (let i = 0; i < 5; i++) expect(come(address)).toBe('in')
      expect(come(address)).toBe('too many handshakes')
    }
    end()
  })

  test('are 128 of a network', () => {
    const { come, wait, isIn, limits, end } = start()
    for (let i = 0; i < 130; i++) come(`192.0.2.${i + 1}`)
    expect(limits.size).toBe(128)
    expect(come('198.51.100.1')).toBe('in')
    wait(500)
    expect([come('192.0.2.200'), isIn(0), limits.size]).toEqual(['in', false, 129])
    for (let i = 0; i < 200; i++) come(`2001:db8:0:${i.toString(16)}::1`)
    expect(limits.size).toBe(257)
    end()
  })

  test('are 512 in all: the oldest of the network that has the most goes, at once', () => {
    const { come, isIn, limits, end } = start()
    for (const [network, size] of [104, 103, 102, 102, 101].entries()) for (let i = 0; i < size; i++) come(`10.0.${network}.${i + 1}`)
    expect(limits.size).toBe(512)
    expect([come('192.0.2.1'), isIn(0), isIn(104), limits.size]).toEqual(['in', false, true, 512])
    end()
  })

  test('from as many networks as there are places: nobody who may still be honest is pushed out', () => {
    const { come, wait, isIn, limits, end } = start()
    for (let i = 0; i < 512; i++) expect(come(`10.${i >> 8}.${i & 255}.1`)).toBe('in')
    expect(come('192.0.2.1')).toBe('too many handshakes')
    wait(500)
    expect([come('192.0.2.1'), isIn(0), isIn(1), limits.size]).toEqual(['in', false, true, 512])
    end()
  })

  test('thirty addresses with 143 handshakes a second keep nobody out, neither of their own network nor of another one', () => {
    const { come, wait, isIn, sockets, limits } = start()
    const honest: number[] = []
    for (let i = 0; i < 143 * 30; i++) {
      come(`192.0.2.${(i % 30) + 1}`)
      wait(1000 / 143)
      if (i % 143 !== 0) continue
      // What an honest one needs, with 100 ms of round trip.
      const address = honest.length % 2 === 0 ? '192.0.2.99' : '198.51.100.7'
      expect(come(address)).toBe('in')
      const at = sockets.length - 1
      honest.push(at)
      for (let ms = 0; ms < 200; ms += 1000 / 143) {
        come(`192.0.2.${(Math.round(i + ms) % 30) + 1}`)
        wait(1000 / 143)
      }
      expect(isIn(at)).toBe(true)
      limits.proven(sockets[at]!, address)
    }
    expect(honest.length).toBe(30)
    for (const socket of sockets) limits.proven(socket, 'nobody')
  })

  test('that have been proven are strangers no more', () => {
    const { come, sockets, limits } = start()
    for (let i = 0; i < 200; i++) {
      expect(come('192.0.2.1')).toBe('in')
      limits.proven(sockets[i]!, '192.0.2.1')
    }
    expect(limits.size).toBe(0)
  })
})
