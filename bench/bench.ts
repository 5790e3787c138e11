/** What every measurement is given. */
import type { Contender, Origins } from './contenders.ts'
import type { Client, Fleet } from './fleet.ts'
import { parseWrk, wrkArguments, type LoadOptions, type LoadResult, type Target } from './load.ts'
import { cpuSeconds } from './proc.ts'
import type { Group } from './report.ts'
import { medianRatio, median } from './stats.ts'

/** What is running, and how much of it is wanted. */
export interface Bench {
  readonly fleet: Fleet
  readonly origins: Origins
  /** In the order of the tables. */
  readonly contenders: readonly Contender[]
  readonly client: Client
  readonly hasWrk: boolean
  readonly runs: number
  readonly isQuick: boolean
  /** Contenders that have had their small requests to warm up. */
  readonly warm: Set<Contender>
  /** Says on standard error what is going on. */
  readonly say: (text: string) => void
}

/** One measurement; the name is what `--only` takes. */
export interface Measurement {
  readonly name: string
  /** The longest that it may take, milliseconds; absent: as long as most. */
  readonly maxMs?: number
  readonly measure: (bench: Bench) => Promise<Group>
}

/** Small requests with wrk, or without it with our own generator. */
export const load = async ({ fleet, client, hasWrk }: Bench, target: Target, options: LoadOptions): Promise<LoadResult> => {
  if (hasWrk) return parseWrk(await fleet.run(['wrk', ...wrkArguments(target, options)]))
  const reply = await client.ask({ kind: 'load', target, options })
  if (!('load' in reply)) throw new Error('the client answered another question')
  return reply.load
}

/** Does `work`; resolves with its result and the CPU that `pids` used meanwhile. */
export const withCpu = async <T>(pids: readonly number[], work: () => Promise<T>): Promise<{ result: T; cpuSeconds: number }> => {
  const before = cpuSeconds(pids)
  const result = await work()
  return { result, cpuSeconds: cpuSeconds(pids) - before }
}

/** Figures of one run, by column. */
export type Figures = Readonly<Record<string, number>>

/** The figures of every run of every contender. */
export class Samples {
  readonly #runs = new Map<string, Figures[]>()

  /** Runs the contenders in turns (A B C A B C …), so that whatever disturbs the machine for a while disturbs all of them. */
  static async collect(bench: Bench, contenders: readonly Contender[], run: (contender: Contender) => Promise<Figures>): Promise<Samples> {
    const samples = new Samples()
    for (let round = 1; round <= bench.runs; round++) {
      for (const contender of contenders) {
        const figures = await run(contender)
        samples.#runs.set(contender.name, [...(samples.#runs.get(contender.name) ?? []), figures])
      }
      bench.say(`  round ${round} of ${bench.runs}`)
    }
    return samples
  }

  /** Every run's figure. */
  of(name: string, key: string): number[] {
    return (this.#runs.get(name) ?? []).map(figures => figures[key] ?? NaN)
  }

  /** Medians of all figures. */
  medians(name: string): Record<string, number> {
    const keys = Object.keys(this.#runs.get(name)?.[0] ?? {})
    return Object.fromEntries(keys.map(key => [key, median(this.of(name, key))]))
  }

  /** The median over the rounds of this contender's figure in relation to the one-hop proxy's. */
  ratio(name: string, key: string): number {
    return medianRatio(this.of(name, key), this.of('one-hop Node proxy', key))
  }
}
