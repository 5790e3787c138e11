/** What a scenario has measured, and what it had to be. */

/** One line of the scorecard. */
export interface Figure {
  readonly what: string
  readonly value: number
  readonly unit: string
  /** The most that it may be; undefined: told, and not judged. */
  readonly atMost?: number
  /** The least. */
  readonly atLeast?: number
}

export const isMet = ({ value, atMost = Infinity, atLeast = -Infinity }: Figure): boolean => value <= atMost && value >= atLeast

/** As a row of docs/reliability.md. */
export const rowOf = (figure: Figure): string => {
  const { what, value, unit, atMost, atLeast } = figure
  const target = atMost !== undefined ? `≤ ${atMost}` : atLeast !== undefined ? `≥ ${atLeast}` : '–'
  const digits = Number.isInteger(value) ? 0 : Math.abs(value) < 10 ? 2 : 1
  return `| ${what} | ${target} | ${value.toFixed(digits)} ${unit} | ${target === '–' ? '' : isMet(figure) ? 'met' : '**missed**'} |`
}

/** Rise of a straight line through points, per unit of their first coordinate (least squares). */
export const slopeOf = (points: readonly (readonly [number, number])[]): number => {
  const mean = (of: (point: readonly [number, number]) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [x, y] = [mean(([at]) => at), mean(([, value]) => value)]
  const spread = points.reduce((sum, [at]) => sum + (at - x) ** 2, 0)
  return spread === 0 ? 0 : points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0) / spread
}

/** What of the values is at most as high as `share` of them; NaN of none. */
export const percentileOf = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN
