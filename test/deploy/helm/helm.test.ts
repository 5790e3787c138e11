/**
 * The chart of deploy/helm. helm itself is in no Debian package, so what it has rendered is kept (scripts/helm-golden.ts): this looks at that, and that it is of the
 * chart as it is now; where there is a helm, it renders and lints as well.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { load, loadAll } from 'js-yaml'
import { parseTargets } from '../../../src/config/targets.ts'
import { programPath } from '../../support/needs.ts'
import { parsedArguments } from '../arguments.ts'
import { CHART, chartDigest, golden, lintArguments, renderArguments, VALUES } from './chart.ts'

interface Container {
  readonly name: string
  readonly args?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly securityContext?: unknown
  readonly resources?: unknown
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[]
  readonly [probe: `${string}Probe`]: { readonly httpGet: { readonly port: string } } | undefined
  readonly lifecycle?: { readonly preStop: { readonly sleep: { readonly seconds: number } } }
}

interface Pod {
  readonly containers: readonly Container[]
  readonly initContainers?: readonly Container[]
  readonly securityContext?: unknown
  readonly automountServiceAccountToken?: boolean
  readonly serviceAccountName: string
  readonly terminationGracePeriodSeconds: number
  readonly volumes: readonly { readonly name: string }[]
}

interface Rule {
  readonly resources: readonly string[]
  readonly verbs: readonly string[]
}

interface Manifest {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
  readonly spec?: {
    readonly template?: { readonly spec: Pod; readonly metadata: { readonly labels: Readonly<Record<string, string>> } }
    readonly selector?: unknown
  }
  readonly rules?: readonly Rule[]
  readonly data?: Readonly<Record<string, string>>
}

const all = VALUES.map(name => ({ name, manifests: loadAll(golden(name)) as Manifest[] }))
const pods = all.flatMap(({ name, manifests }) =>
  manifests.flatMap(({ kind, metadata, spec }) =>
    spec?.template === undefined ? [] : [{ title: `${name}: ${kind} ${metadata.name}`, pod: spec.template.spec }],
  ),
)

describe('what helm has rendered', () => {
  test.each(VALUES)('%s is of the chart and the values as they are; else: node --import tsx scripts/helm-golden.ts', name => {
    expect(golden(name).split('\n')[0]).toContain(chartDigest(name))
  })

  test.each(pods)('$title: every container is confined, and its options are those of the program', ({ pod }) => {
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
    // A token of the API server is given to the container that needs it.
    expect(pod.automountServiceAccountToken).toBe(false)
    const volumes = pod.volumes.map(({ name }) => name)
    for (const container of [...pod.containers, ...(pod.initContainers ?? [])]) {
      expect(container.securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      })
      expect(container.resources).toMatchObject({ requests: { cpu: expect.anything() }, limits: { memory: expect.anything() } })
      expect(container.volumeMounts!.map(({ name }) => name).filter(name => !volumes.includes(name))).toEqual([])
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const)
        if (container[probe] !== undefined) expect(container.ports!.map(({ name }) => name)).toContain(container[probe].httpGet.port)
    }
    for (const container of pod.containers) {
      const variables = Object.fromEntries((container.env ?? []).map(({ name, value = 'redis://redis' }) => [name, value]))
      const { 'drain-timeout': timeoutMs = 0, 'drain-delay': delayMs = 0 } = parsedArguments(container.args ?? [], variables)
      const before = container.lifecycle?.preStop.sleep.seconds ?? 0
      // The process is not killed while it drains.
      expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(before * 1_000 + delayMs + timeoutMs)
    }
  })

  test('the controller sees no keys, and the outer layer beside it no token', () => {
    const { pod } = pods.find(({ title }) => title === 'cluster: StatefulSet edge-socket-gateway-outer')!
    const mounts = Object.fromEntries(pod.containers.map(({ name, volumeMounts = [] }) => [name, volumeMounts.map(each => each.name)]))
    expect(mounts['controller']!.sort()).toEqual(['api-access', 'found', 'targets', 'tmp'])
    expect(mounts['outer-layer']).toContain('private')
    expect(mounts['outer-layer']).not.toContain('api-access')
  })

  test('no Secret is made, nobody is an admin, and the rights are those of deploy/kubernetes', () => {
    const manifests = all.flatMap(each => each.manifests)
    expect(manifests.filter(({ kind }) => kind === 'Secret')).toEqual([])
    expect(VALUES.map(golden).join()).not.toContain('cluster-admin')
    const rightsOf = (list: readonly Manifest[]): string[] => [
      ...new Set(
        list.flatMap(({ rules = [] }) =>
          rules.flatMap(({ resources, verbs }) => resources.flatMap(kind => verbs.map(verb => `${verb} ${kind}`))),
        ),
      ),
    ]
    const files = ['controller.yaml', 'gateway-api.yaml'].map(file => readFileSync(join('deploy/kubernetes', file), 'utf8'))
    expect(rightsOf(manifests).sort()).toEqual(rightsOf(files.flatMap(text => loadAll(text) as Manifest[])).sort())
    // Targets are in a file: Services are only read.
    expect(rightsOf(all.find(({ name }) => name === 'cluster')!.manifests)).not.toContain('patch services')
  })

  test('each part is found by its own labels, and has an account of its own', () => {
    for (const { manifests } of all) {
      const accounts = manifests.filter(({ kind }) => kind === 'ServiceAccount').map(({ metadata }) => metadata.name)
      const workloads = manifests.flatMap(({ spec }) =>
        spec?.template === undefined ? [] : [{ ...spec.template, selector: spec.selector as { matchLabels: Record<string, string> } }],
      )
      expect(workloads.map(({ spec }) => spec.serviceAccountName).sort()).toEqual(accounts.sort())
      for (const { metadata, selector } of workloads) expect(metadata.labels).toMatchObject(selector.matchLabels)
      const components = workloads.map(({ selector }) => selector.matchLabels['app.kubernetes.io/component'])
      expect(new Set(components).size).toBe(components.length)
    }
  })

  test('targets of the values are a targets file', () => {
    const text = all[0]!.manifests.find(({ metadata }) => metadata.name.endsWith('-targets'))?.data?.['targets.yaml'] ?? ''
    expect(parseTargets(text, 'targets.yaml').targets.map(({ name }) => name)).toEqual(['api.example.com'])
  })

  test('the schema knows each value, and no other', () => {
    interface Schema {
      readonly type?: string
      readonly properties?: Readonly<Record<string, Schema>>
      readonly additionalProperties?: unknown
    }
    const compare = (value: unknown, schema: Schema, path: string): void => {
      expect([path, schema !== undefined]).toEqual([path, true])
      if (schema.properties === undefined) return
      expect([path, schema.additionalProperties]).toEqual([path, false])
      expect([path, Object.keys(value as object).sort()]).toEqual([
        path,
        Object.keys(schema.properties)
          .filter(key => key !== 'global')
          .sort(),
      ])
      for (const [key, part] of Object.entries(value as object)) compare(part, schema.properties[key]!, `${path}.${key}`)
    }
    const schema = JSON.parse(readFileSync(join(CHART, 'values.schema.json'), 'utf8')) as Schema
    compare(load(readFileSync(join(CHART, 'values.yaml'), 'utf8')), { ...schema, additionalProperties: false }, 'values')
  })
})

const helm = programPath('helm')
if (helm === undefined)
  process.stderr.write('skipped "helm renders the same", helm is absent: go install helm.sh/helm/v3/cmd/helm@latest\n')

;(helm === undefined ? test.skip : test).each(VALUES)('helm renders the same of %s, and has nothing to say against it', async name => {
  const run = promisify(execFile)
  const { stdout } = await run(helm!, renderArguments(name))
  expect(stdout).toBe(golden(name).slice(golden(name).indexOf('\n') + 1))
  expect((await run(helm!, lintArguments(name))).stdout).toContain('0 chart(s) failed')
})
