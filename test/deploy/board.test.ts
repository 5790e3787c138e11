/** Queries of the Grafana board and of the alert rules ask for metrics and labels that there are. */
import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import { load } from 'js-yaml'
import { ask } from '../support/admin.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { freePort } from '../support/ports.ts'

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}
interface Board {
  readonly panels: readonly Panel[]
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly query: string | { readonly query: string } }[]
  }
}
interface Alerts {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[]
}

const board = JSON.parse(readFileSync('deploy/grafana/socket-gateway.json', 'utf8')) as Board
const alertsText = readFileSync('deploy/prometheus/alerts.yaml', 'utf8')
const alerts = load(alertsText) as Alerts
const page = readFileSync('docs/operations.md', 'utf8')

const FUNCTIONS = new Set(['sum', 'rate', 'increase', 'count', 'min', 'max', 'absent', 'time', 'histogram_quantile', 'label_values'])
const WORDS = new Set(['by', 'or', 'and', 'offset'])

/** Metrics of a query, each with the labels that it is asked by; those of `by (…)` are asked of all. */
function asked(query: string): {
  readonly metrics: ReadonlyMap<string, readonly string[]>
  readonly by: readonly string[]
  readonly unknown: readonly string[]
} {
  const metrics = new Map<string, readonly string[]>()
  const by = Array.from(query.matchAll(/\bby \(([^)]*)\)/g), ([, list = '']) => list.split(', ')).flat()
  const rest = query
    .replace(/\bby \([^)]*\)/g, ' ')
    .replace(/label_values\((\w+), (\w+)\)/g, (_, metric: string, label: string) => `${metric}{${label}="x"}`)
    .replace(/\b([a-z_]+)\{([^}]*)\}/g, (_, name: string, matchers: string) => {
      metrics.set(name, [...(metrics.get(name) ?? []), ...Array.from(matchers.matchAll(/(\w+)(?:=~?|!=|!~)"/g), ([, label]) => label!)])
      return ' '
    })
    .replace(/\[[^\]]*\]/g, ' ')
    .replace(/\boffset \w+/g, ' ')
  const unknown: string[] = []
  for (const [name] of rest.matchAll(/[a-z_]+\b(?!\s*\{)/g)) {
    if (FUNCTIONS.has(name) || WORDS.has(name)) continue
    if (/^(?:socket_gateway|process|nodejs)_|^up$/.test(name)) metrics.set(name, metrics.get(name) ?? [])
    else unknown.push(name)
  }
  return { metrics, by, unknown }
}

/** Given by Prometheus. */
const OF_THE_SCRAPE = ['instance', 'job']

/** Labels of each metric as `/metrics` has them; of one without a line, as docs/operations.md does. */
const collected = async (): Promise<ReadonlyMap<string, ReadonlySet<string>>> => {
  const layers = await startLayers({ origin: await freePort(), outer: { admin: { port: 0 } }, inner: { admin: { port: 0 } } })
  await exchange(layers.port)
  await layers.accessLine(1)
  const labels = new Map<string, Set<string>>([['up', new Set()]])
  for (const port of [layers.outer.adminPort, layers.inner.adminPort]) {
    const { text } = await ask(port, '/metrics')
    for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      const [, told = ''] = new RegExp(`^\\| \`${name}\` \\| \\w+ \\| ([^|]*)\\|`, 'm').exec(page) ?? []
      const known = Array.from(told.matchAll(/\w+/g), ([label]) => label)
      for (const each of type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name])
        labels.set(each, new Set([...(labels.get(each) ?? []), ...known, ...(each.endsWith('_bucket') ? ['le'] : [])]))
    }
    for (const [, name = '', list = ''] of text.matchAll(/^(\w+)\{([^}]*)\} /gm))
      for (const [, label = ''] of list.matchAll(/(\w+)="/g)) labels.get(name)?.add(label)
  }
  return labels
}

const QUERIES: readonly (readonly [string, string])[] = [
  ...board.panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => [`panel ${title}`, expr] as const)),
  ...board.templating.list.flatMap(({ name, type, query }) =>
    type === 'query' && typeof query === 'object' ? [[`variable ${name}`, query.query] as const] : [],
  ),
  ...alerts.groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => [`alert ${alert}`, expr] as const)),
]

describe('queries', () => {
  test('ask for metrics and labels of /metrics', async () => {
    const labels = await collected()
    expect(QUERIES.length).toBeGreaterThan(40)
    for (const [place, query] of QUERIES) {
      const { metrics, by, unknown } = asked(query)
      expect([place, unknown]).toEqual([place, []])
      expect([place, metrics.size > 0]).toEqual([place, true])
      for (const [name, own] of metrics) {
        const known = labels.get(name)
        expect([place, name, known !== undefined]).toEqual([place, name, true])
        const there = [...OF_THE_SCRAPE, ...known!]
        expect([place, name, [...own, ...by].filter(label => !there.includes(label))]).toEqual([place, name, []])
      }
    }
  })

  test('are read by this test as they are meant', () => {
    const { metrics, by, unknown } = asked(
      'histogram_quantile(0.9, sum by (le, x) (rate(socket_gateway_a_bucket{b="c",d=~"$e"}[5m]))) / sum(up offset 1h) > socket_gateway_f - time() + whatever',
    )
    expect([...metrics]).toEqual([
      ['socket_gateway_a_bucket', ['b', 'd']],
      ['up', []],
      ['socket_gateway_f', []],
    ])
    expect(by).toEqual(['le', 'x'])
    expect(unknown).toEqual(['whatever'])
  })

  test('rates go over the interval that Grafana gives, and each panel by the layers that were chosen', () => {
    for (const { title, targets = [] } of board.panels)
      for (const { expr } of targets) {
        expect([title, /\[(?!\$__rate_interval\])/.test(expr)]).toEqual([title, false])
        expect([title, expr.includes('instance=~"$instance"')]).toEqual([title, true])
      }
  })

  test('alerts are those of docs/operations.md', () => {
    const [, shown] = /```yaml\n# alerts\.yml\n([^]*?)```/.exec(page) ?? []
    expect(load(shown ?? '')).toEqual(alerts)
  })
})
