/**
 * Shows that the seam of the inspector costs nothing while nobody looks: `node --import tsx bench/tap-seam.ts`. Two builds, the one that is
 * here and one whose seam was taken out of the source, take the same 50,000 requests through the inner layer's part of the path (exchange
 * and stream, without sockets), in turn, and what each request allocates is counted; collections of garbage are kept away, so that the
 * count is of bytes and no estimate. `on` is the same with an inspector.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const ROUNDS = 3
/** The files of the path of a request that know of taps. */
const SEAM = ['origin/origin-exchange.ts', 'outer/exchange/http-exchange.ts', 'outer/exchange/forwarding.ts', 'outer/exchange/answer.ts']
/** Lines that are there for taps alone. */
const OF_TAPS = [
  /^\s*(?:if \([^)]*taps?\b[^)]*\) )?(?:this\.#?|answer\.)?tap\?\.\w+\(.*\)$/,
  /^\s*if \((?:this\.)?context\.taps !== undefined\) .*$/,
  /^\s*\.\.\.\(tap !== undefined && .*\),$/,
  /^\s*(?:readonly )?#?tap: ExchangeTap \| undefined$/,
  /^\s*#tap: ExchangeTap \| undefined$/,
  /^\s*private readonly tap\?: ExchangeTap,$/,
  /^\s*const (?:\{ tap \} = this|tap = this\.#tap)$/,
]

/** The text without its seam; a member that only the seam calls goes as a whole. */
function withoutSeam(text: string): string {
  const lines = text
    .replace(/\n {2}\/\*\* Shows what happens from now on[\s\S]*?\n {2}\}\n/, '\n')
    .replace(/, this\.#tap\)/, ')')
    .replace(/\n {4}if \(call\.request\.method === 'HEAD' \|\| body === ''\) \{[\s\S]*?\n {4}\}\n/, inner =>
      inner.replace(/\n\s*this\.tap\?\.receivedEnd\(\[\]\)/, ''),
    )
    .split('\n')
  return lines.filter(line => !OF_TAPS.some(pattern => pattern.test(line))).join('\n')
}

/** A copy of the source that a child can run. */
function copyOf(folder: string, isBare: boolean): void {
  for (const part of ['src', 'bench', 'package.json', 'tsconfig.json']) cpSync(join(ROOT, part), join(folder, part), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  if (!isBare) return
  for (const name of SEAM) {
    const file = join(folder, 'src', name)
    const bare = withoutSeam(readFileSync(file, 'utf8'))
    const left = bare.split('\n').filter(line => /\btaps?\?\.|#tap\b/.test(line))
    if (left.length > 0) throw new Error(`${name}: these lines of the seam were not taken out:\n${left.join('\n')}`)
    writeFileSync(file, bare)
  }
}

/** Figures of one child. */
interface Figures {
  readonly bytesPerRequest: number
  readonly cpuUs: number
}

function run(folder: string, mode: 'off' | 'on'): Figures {
  const args = ['--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256', '--import', 'tsx', 'bench/tap-seam-child.ts', mode]
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Figures
}

const folder = mkdtempSync(join(tmpdir(), 'socket-gateway-seam-'))
try {
  const [here, bare] = [join(folder, 'here'), join(folder, 'bare')]
  copyOf(here, false)
  copyOf(bare, true)
  const samples = { bare: [] as Figures[], off: [] as Figures[], on: [] as Figures[] }
  for (let round = 0; round < ROUNDS; round++) {
    samples.bare.push(run(bare, 'off'))
    samples.off.push(run(here, 'off'))
    samples.on.push(run(here, 'on'))
  }
  const of = (name: keyof typeof samples, figure: keyof Figures): number => Math.min(...samples[name].map(each => each[figure]))
  const out = (text: string): void => void process.stdout.write(`${text}\n`)
  for (const name of ['bare', 'off', 'on'] as const) {
    const [bytes, us] = [of(name, 'bytesPerRequest'), of(name, 'cpuUs')]
    const ratio = (figure: keyof Figures, value: number): string => (value / of('bare', figure)).toFixed(4)
    out(
      `${name.padEnd(5)} ${bytes.toFixed(0)} bytes per request (${ratio('bytesPerRequest', bytes)}), ${us.toFixed(1)} µs (${ratio('cpuUs', us)})`,
    )
  }
} finally {
  rmSync(folder, { recursive: true })
}
