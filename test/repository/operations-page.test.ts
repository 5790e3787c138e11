/** docs/operations.md lists every metric of the gateway with its type, labels and help, and no other. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { ask } from '../support/admin.ts'
import { exchange } from '../support/exchange.ts'
import { startLayers } from '../support/layers.ts'
import { freePort } from '../support/ports.ts'
import { ROOT } from '../support/process.ts'

const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8')

/** Name → `type: help`. */
const told = (text: string): Map<string, string> => {
  const types = new Map(Array.from(text.matchAll(/^# TYPE (socket_gateway_\S+) (\S+)$/gm), ([, name, type]) => [name!, type!]))
  return new Map(
    Array.from(text.matchAll(/^# HELP (socket_gateway_\S+) (.*)$/gm), ([, name, help]) => [name!, `${types.get(name!)!}: ${help!}`]),
  )
}

const labelsOf = (text: string, name: string): string => {
  const [, labels = ''] = new RegExp(`^${name}(?:_bucket)?\\{([^}]*)\\}`, 'm').exec(text) ?? []
  return Array.from(labels.matchAll(/(\w+)="/g), ([, label]) => label!)
    .filter(label => label !== 'le')
    .join(', ')
}

test('docs/operations.md lists every metric with its type, labels and meaning', async () => {
  // A port where nobody is, so that there are errors to show.
  const layers = await startLayers({ origin: await freePort(), outer: { admin: { port: 0 } }, inner: { admin: { port: 0 } } })
  await exchange(layers.port)
  await layers.accessLine(1)
  const texts = await Promise.all([layers.outer.adminPort, layers.inner.adminPort].map(async port => (await ask(port, '/metrics')).text))
  const rows = new Map(
    Array.from(page.matchAll(/^\| `(socket_gateway_\w+)` \| (\w+) \| ([^|]*)\| (.*) \|$/gm), ([, name, type, labels, help]) => [
      name!,
      [`${type!}: ${help!}`, labels!.trim()] as const,
    ]),
  )
  const all = new Map(texts.flatMap(text => [...told(text)]))
  expect([...rows.keys()].sort()).toEqual([...all.keys()].sort())
  for (const [name, text] of all) expect([name, rows.get(name)![0]]).toEqual([name, text])
  for (const [name, [, labels]] of rows) {
    // Some have no line where there is no certificate and no TCP port.
    const shown = texts.filter(text => new RegExp(`^${name}(?:_bucket)?[{ ]`, 'm').test(text)).map(text => labelsOf(text, name))
    for (const each of shown) expect([name, each]).toEqual([name, labels])
  }
})
