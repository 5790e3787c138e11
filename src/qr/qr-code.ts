/** QR codes (ISO/IEC 18004) of texts as long as a URL: byte mode, error correction L, versions 1 to 6. */
import { correctionOf } from './reed-solomon.ts'

/** Of each version: codewords of data, of correction in each block, and blocks (table 9, level L). */
const VERSIONS = [
  { data: 19, correction: 7, blocks: 1 },
  { data: 34, correction: 10, blocks: 1 },
  { data: 55, correction: 15, blocks: 1 },
  { data: 80, correction: 20, blocks: 1 },
  { data: 108, correction: 26, blocks: 1 },
  { data: 136, correction: 18, blocks: 2 },
] as const

type Version = (typeof VERSIONS)[number]

/** Mode and count of bytes take so many codewords, nearly. */
const HEAD_CODEWORDS = 2
const BYTE_MODE = 0b0100
const PADDING = [0xec, 0x11] as const
const LEVEL_L = 0b01

/** Rows of modules; true is dark. */
export type Modules = readonly (readonly boolean[])[]

/** The code of a text, without the quiet zone around it; undefined for more than 134 bytes of UTF-8. */
export function qrCodeOf(text: string): Modules | undefined {
  const bytes = Buffer.from(text)
  const index = VERSIONS.findIndex(({ data }) => bytes.length <= data - HEAD_CODEWORDS)
  const version = VERSIONS[index]
  if (version === undefined) return undefined
  const codewords = interleaved(codewordsOf(bytes, version), version)
  const grid = new Grid(index + 1)
  grid.fill(codewords)
  return grid.masked()
}

function codewordsOf(bytes: Buffer, { data }: Version): readonly number[] {
  const hex = (value: number): string => value.toString(16).padStart(2, '0')
  // Everything is half a codeword late, behind the four bits of the mode; the four behind the text end it.
  const digits = `${BYTE_MODE.toString(16)}${hex(bytes.length)}${bytes.toString('hex')}0`
  const codewords = [...Buffer.from(digits, 'hex')]
  for (let i = 0; codewords.length < data; i++) codewords.push(PADDING[i % 2]!)
  return codewords
}

/** The blocks and their correction, a codeword of each in turn. */
function interleaved(codewords: readonly number[], { data, correction, blocks }: Version): readonly number[] {
  const length = data / blocks
  const parts = Array.from({ length: blocks }, (_, i) => codewords.slice(i * length, (i + 1) * length))
  const corrections = parts.map(part => correctionOf(part, correction))
  const inTurn = (lists: readonly (readonly number[])[]): number[] => lists[0]!.flatMap((_, i) => lists.map(list => list[i]!))
  return [...inTurn(parts), ...inTurn(corrections)]
}

/** The eight masks of §7.8.2, by column and row. */
const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  x => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
]

class Grid {
  readonly #size: number
  readonly #dark: boolean[][]
  /** Modules that are the same whatever the text is. */
  readonly #isFixed: boolean[][]

  constructor(version: number) {
    const size = 17 + 4 * version
    this.#size = size
    const rows = (): boolean[][] => Array.from({ length: size }, () => new Array<boolean>(size).fill(false))
    this.#dark = rows()
    this.#isFixed = rows()
    for (let i = 0; i < size; i++) {
      this.#fix(6, i, i % 2 === 0)
      this.#fix(i, 6, i % 2 === 0)
    }
    for (const [x, y] of [
      [3, 3],
      [size - 4, 3],
      [3, size - 4],
    ] as const)
      this.#square(x, y, 4, ring => ring !== 2 && ring !== 4)
    if (version > 1) this.#square(size - 7, size - 7, 2, ring => ring !== 1)
    this.#format(0)
  }

  /** Places codewords in columns of two, up and down, from the right (§7.7.3). */
  fill(codewords: readonly number[]): void {
    let bit = 0
    for (let right = this.#size - 1; right >= 1; right -= 2) {
      if (right === 6) right = 5
      const isUpward = ((right + 1) & 2) === 0
      for (let step = 0; step < this.#size; step++) {
        const y = isUpward ? this.#size - 1 - step : step
        for (const x of [right, right - 1]) {
          if (this.#isFixed[y]![x]!) continue
          this.#dark[y]![x] = (((codewords[bit >>> 3] ?? 0) >>> (7 - (bit & 7))) & 1) === 1
          bit++
        }
      }
    }
  }

  /** The modules under the mask that makes them easiest to read (§7.8.3). */
  masked(): Modules {
    let best: { readonly modules: Modules; readonly penalty: number } | undefined
    for (const [index, mask] of MASKS.entries()) {
      this.#format(index)
      const modules = this.#dark.map((row, y) => row.map((dark, x) => (this.#isFixed[y]![x]! ? dark : dark !== mask(x, y))))
      const penalty = penaltyOf(modules)
      if (best === undefined || penalty < best.penalty) best = { modules, penalty }
    }
    return best!.modules
  }

  #fix(x: number, y: number, dark: boolean): void {
    const row = this.#dark[y]
    if (row === undefined || x < 0 || x >= this.#size) return
    row[x] = dark
    this.#isFixed[y]![x] = true
  }

  #square(centreX: number, centreY: number, radius: number, isDark: (ring: number) => boolean): void {
    for (let y = -radius; y <= radius; y++)
      for (let x = -radius; x <= radius; x++) this.#fix(centreX + x, centreY + y, isDark(Math.max(Math.abs(x), Math.abs(y))))
  }

  /** Level and mask, twice, with their BCH code (§7.9). */
  #format(mask: number): void {
    const facts = (LEVEL_L << 3) | mask
    let rest = facts
    for (let i = 0; i < 10; i++) rest = (rest << 1) ^ ((rest >>> 9) * 0x537)
    const bits = ((facts << 10) | rest) ^ 0x5412
    const bit = (i: number): boolean => ((bits >>> i) & 1) === 1
    const last = this.#size - 1
    for (let i = 0; i <= 5; i++) this.#fix(8, i, bit(i))
    this.#fix(8, 7, bit(6))
    this.#fix(8, 8, bit(7))
    this.#fix(7, 8, bit(8))
    for (let i = 9; i < 15; i++) this.#fix(14 - i, 8, bit(i))
    for (let i = 0; i < 8; i++) this.#fix(last - i, 8, bit(i))
    for (let i = 8; i < 15; i++) this.#fix(8, last - 14 + i, bit(i))
    this.#fix(8, last - 7, true)
  }
}

/** Runs, blocks, what looks like a finder, and an uneven share of dark modules. */
function penaltyOf(modules: Modules): number {
  const lines = (rows: Modules): string[] => rows.map(row => row.map(dark => (dark ? '1' : '0')).join(''))
  const columns = modules.map((_, x) => modules.map(row => row[x]!))
  let penalty = 0
  for (const line of [...lines(modules), ...lines(columns)]) {
    for (const run of line.match(/0{5,}|1{5,}/g) ?? []) penalty += run.length - 2
    for (const _ of line.matchAll(/(?=10111010000|00001011101)/g)) penalty += 40
  }
  let darkCount = 0
  for (const [y, row] of modules.entries())
    for (const [x, dark] of row.entries()) {
      if (dark) darkCount++
      if (dark === row[x + 1] && dark === modules[y + 1]?.[x] && dark === modules[y + 1]?.[x + 1]) penalty += 3
    }
  const percent = (darkCount * 100) / (modules.length * modules.length)
  return penalty + Math.floor(Math.abs(percent - 50) / 5) * 10
}
