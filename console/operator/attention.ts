import type { InnerStatus, LayerStatus, OuterStatus } from '../../src/admin/status.ts'
import { ago, plural } from '../ui/format.ts'

/** Something that somebody should look at. */
export interface Attention {
  readonly tone: 'bad' | 'warn'
  readonly text: string
  /** The page that shows more. */
  readonly href?: string
}

const DAY_MS = 86_400_000
const SOON_MS = 14 * DAY_MS

/** Returns everything that needs attention, the worst first. */
export function attentionOf(status: LayerStatus, nowMs: number): readonly Attention[] {
  const all: readonly Attention[] = [
    ...status.reasons.map(text => ({ tone: 'bad', text }) as const),
    ...(status.layer === 'outer' ? ofOuter(status, nowMs) : ofInner(status)),
    ...status.degraded.map(text => ({ tone: 'warn', text }) as const),
    ...(status.eventLoop.delayP99Ms > 200
      ? [{ tone: 'warn', text: `The process is busy: its event loop is ${Math.round(status.eventLoop.delayP99Ms)} ms late.` } as const]
      : []),
  ]
  return [...all.filter(({ tone }) => tone === 'bad'), ...all.filter(({ tone }) => tone === 'warn')]
}

function ofOuter(status: OuterStatus, nowMs: number): readonly Attention[] {
  const faults = [
    ...(status.reload.fault === null ? [] : status.reload.fault.split('\n')),
    ...status.keys.faults,
    ...status.tcp.faults,
    ...status.certificates.faults,
    ...(typeof status.service?.fault === 'string' ? [status.service.fault] : []),
  ]
  const unserved = status.targets.filter(({ innerLayers, origin }) => innerLayers === 0 && origin !== null)
  const unwell = status.targets.filter(({ health }) => health === 'not well')
  return [
    ...faults.map(text => ({ tone: 'bad', text: `Not in force: ${text}` }) as const),
    ...(unserved.length === 0
      ? []
      : [
          {
            tone: 'bad',
            text: `${plural(unserved.length, 'target')} without an inner layer: ${few(unserved.map(({ host }) => host))}`,
            href: '#/targets',
          } as const,
        ]),
    ...(unwell.length === 0
      ? []
      : [{ tone: 'bad', text: `The origin of ${few(unwell.map(({ host }) => host))} is not well.`, href: '#/targets' } as const]),
    ...status.certificates.inForce
      .filter(({ notAfter }) => Date.parse(notAfter) - nowMs < SOON_MS)
      .map(({ names, notAfter }) => {
        const left = Date.parse(notAfter) - nowMs
        const tone = left < 0 ? 'bad' : 'warn'
        const when = left < 0 ? 'has ended' : `ends in ${plural(Math.floor(left / DAY_MS), 'day')}`
        return { tone, text: `The certificate of ${few(names)} ${when}.`, href: '#/certificates' } as const
      }),
    ...status.refused.slice(0, 3).map(({ address, reason, at, count }) => {
      const times = count === 1 ? '' : ` ${count} times`
      return {
        tone: 'warn',
        text: `An inner layer at ${address} was refused${times}, last ${ago(at, nowMs)} ago: ${reason}`,
        href: '#/inner-layers',
      } as const
    }),
    ...(status.unknownHosts.length === 0
      ? []
      : [{ tone: 'warn', text: `Asked for and unknown: ${few(status.unknownHosts.map(({ host }) => host))}`, href: '#/targets' } as const]),
  ]
}

function ofInner(status: InnerStatus): readonly Attention[] {
  const away = status.connections.filter(({ isUp }) => !isUp)
  return away.map(({ outerLayer, lastFailure }) => ({
    tone: 'bad',
    text: `Not connected to ${outerLayer}${lastFailure === null ? '' : `: ${lastFailure}`}`,
  }))
}

const few = (names: readonly string[]): string =>
  names.length <= 3 ? names.join(', ') : `${names.slice(0, 3).join(', ')} and ${names.length - 3} more`
