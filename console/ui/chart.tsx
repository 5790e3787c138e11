import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useScheme } from '../app/scheme.ts'

/** One line of a chart. */
export interface Series {
  readonly name: string
  readonly values: readonly (number | null)[]
  /** A custom property of the style, such as `--blue`. */
  readonly color: string
  readonly isFilled?: boolean
}

/** Properties of a chart over time. */
export interface ChartProps {
  readonly title: string
  /** Seconds since 1970. */
  readonly times: readonly number[]
  readonly series: readonly Series[]
  readonly format: (value: number) => string
}

const HEIGHT = 160
/** The shortest time that is drawn. */
const MIN_SECONDS = 600

/** A chart over time, and its figures in words for those who do not see it. */
export function Chart({ title, times, series, format }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot | undefined>(undefined)
  const [width, setWidth] = useState(0)
  const scheme = useScheme()

  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)))
    observer.observe(place.current!)
    return () => observer.disconnect()
  }, [])

  const names = series.map(({ name }) => name).join()
  useEffect(() => {
    if (width === 0) return
    const colors = colorsOf(place.current!)
    const line = colors('--line')
    const dim = colors('--dim')
    const axis = { stroke: dim, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } }
    plot.current = new uPlot(
      {
        width,
        height: HEIGHT,
        cursor: { y: false },
        legend: { live: true },
        scales: {
          // One minute alone would be drawn within years.
          x: { range: ({ data: [shown] }) => rangeOf(shown) },
          y: { range: (_plot, _min, max) => [0, max === null || max <= 0 ? 1 : max * 1.1] },
        },
        axes: [axis, { ...axis, size: 62, values: (_plot, ticks) => ticks.map(format) }],
        series: [
          { value: (_plot, time) => (time === null ? '–' : new Date(time * 1000).toLocaleTimeString('sv').slice(0, 5)) },
          ...series.map(({ name, color, isFilled }) => {
            const stroke = colors(color)
            return {
              label: name,
              stroke,
              width: 2,
              points: { show: times.length < 3 },
              ...(isFilled === true && { fill: stroke.replace('rgb(', 'rgba(').replace(')', ', 0.2)') }),
              value: (_plot: uPlot, value: number | null) => (value === null ? '–' : format(value)),
            }
          }),
        ],
      },
      dataOf(times, series),
      place.current!,
    )
    return () => plot.current?.destroy()
    // The data goes its own way below.
  }, [width, scheme, names])
  useEffect(() => plot.current?.setData(dataOf(times, series)), [times, series])

  return (
    <figure class="chart">
      <figcaption>{title}</figcaption>
      <div ref={place} class="chart-place" role="img" aria-label={`${title}: ${summaryOf(series, format)}`} />
    </figure>
  )
}

const rangeOf = (times: ArrayLike<number>): [number, number] => {
  const last = times[times.length - 1] ?? Date.now() / 1000
  return [Math.min(times[0] ?? last, last - MIN_SECONDS), last]
}

/** Colours of custom properties as a canvas takes them: it knows neither variables nor light and dark. */
const colorsOf =
  (element: HTMLElement) =>
  (name: string): string => {
    element.style.color = `var(${name})`
    const { color } = getComputedStyle(element)
    element.style.color = ''
    return color
  }

const dataOf = (times: readonly number[], series: readonly Series[]): uPlot.AlignedData =>
  [times, ...series.map(({ values }) => values)] as unknown as uPlot.AlignedData

/** The last value and the greatest one of each line, in words. */
function summaryOf(series: readonly Series[], format: (value: number) => string): string {
  const say = (values: readonly (number | null)[]): string => {
    const known = values.filter(value => value !== null)
    return known.length === 0 ? 'nothing yet' : `now ${format(known.at(-1)!)}, at most ${format(Math.max(...known))}`
  }
  return series.map(({ name, values }) => `${name} ${say(values)}`).join('; ')
}
