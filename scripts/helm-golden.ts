/**
 * Renders the chart with the values of test/deploy/helm by `helm template`, and writes what comes out to test/deploy/helm/golden, each with the digest of what it
 * was made of. The tests compare: with helm what it renders now, without it the digests.
 *
 *     node --import tsx scripts/helm-golden.ts [PATH OF HELM]
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { chartDigest, GOLDEN, renderArguments, VALUES } from '../test/deploy/helm/chart.ts'

const [helm = 'helm'] = process.argv.slice(2)
mkdirSync(GOLDEN, { recursive: true })
for (const name of VALUES) {
  const text = execFileSync(helm, renderArguments(name), { encoding: 'utf8' })
  writeFileSync(join(GOLDEN, `${name}.yaml`), `# made of ${chartDigest(name)} by scripts/helm-golden.ts\n${text}`)
}
