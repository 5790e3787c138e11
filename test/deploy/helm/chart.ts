/** The chart, and what was rendered of it. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const CHART = 'deploy/helm/socket-gateway'
const HERE = 'test/deploy/helm'
export const GOLDEN = `${HERE}/golden`
/** Names of the files with values. */
export const VALUES = ['one', 'cluster', 'service'] as const
export type ValuesName = (typeof VALUES)[number]

/** The newest release of Kubernetes that it was tried on. */
const KUBERNETES = '1.36.1'

const valuesFile = (name: ValuesName): string => join(HERE, `${name}.yaml`)

export const renderArguments = (name: ValuesName): string[] => [
  'template',
  'edge',
  CHART,
  '--namespace',
  'gw',
  '--kube-version',
  KUBERNETES,
  '--values',
  valuesFile(name),
]
export const lintArguments = (name: ValuesName): string[] => [
  'lint',
  CHART,
  '--strict',
  '--kube-version',
  KUBERNETES,
  '--values',
  valuesFile(name),
]

/** Of all that the output depends on, helm apart. */
export function chartDigest(name: ValuesName): string {
  const templates = readdirSync(join(CHART, 'templates')).sort()
  const files = ['Chart.yaml', 'values.yaml', ...templates.map(file => join('templates', file))].map(file => join(CHART, file))
  const hash = createHash('sha256')
  for (const file of [...files, valuesFile(name)]) hash.update(`${file}\n`).update(readFileSync(file))
  return hash.digest('hex').slice(0, 32)
}

/** The last rendering. */
export const golden = (name: ValuesName): string => readFileSync(join(GOLDEN, `${name}.yaml`), 'utf8')
