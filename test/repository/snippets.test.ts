/** Whoever pastes a snippet of the documentation into a file has a valid file. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { readConfigFile } from '../../src/cli/command/config-file.ts'
import { resolveOptions } from '../../src/cli/command/resolve.ts'
import { doctorOptions } from '../../src/cli/doctor/doctor-options.ts'
import { isYamlMap, parseYaml } from '../../src/config/document/yaml.ts'
import { lintTargets } from '../../src/config/lint.ts'
import { parseVisitorsConfig } from '../../src/config/visitors/visitors-config.ts'
import { parseEventsConfig } from '../../src/config/events/events-file.ts'
import { parseServiceConfig } from '../../src/config/service/service-config.ts'
import { serviceFileSchema } from '../../src/config/service/service-schema.ts'
import { parseTargets } from '../../src/config/targets.ts'
import { mintKeyPair } from '../../src/identity/certificate.ts'
import { tempDir } from '../support/temp.ts'

const ROOT = join(import.meta.dirname, '..', '..')

interface Snippet {
  readonly place: string
  readonly text: string
}

/** The blocks of a page in one of these languages, without the indentation of the block. */
const snippetsOf = (page: string, languages: readonly string[]): readonly Snippet[] => {
  const text = readFileSync(join(ROOT, page), 'utf8')
  return [...text.matchAll(/^( *)```(\w+)\n([^]*?)\n *```/gm)]
    .filter(([, , language = '']) => languages.includes(language))
    .map(({ index, 1: indent = '', 3: body = '' }) => ({
      place: `${page}:${text.slice(0, index).split('\n').length}`,
      text: body
        .split('\n')
        .map(line => (line.startsWith(indent) ? line.slice(indent.length) : line))
        .join('\n'),
    }))
}

const PAGES = [
  'README.md',
  'scenario/README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
]
const SNIPPETS = PAGES.flatMap(page => snippetsOf(page, ['yaml', 'yml']))
/** Files of other programs, values of the chart among them. */
const FOREIGN = ['services', 'scrape_configs', 'groups', 'apiVersion', 'image', 'rules']

const keysOf = ({ text, place }: Snippet): readonly string[] => {
  const { value } = parseYaml(text, place)
  return isYamlMap(value) ? Object.keys(value) : []
}
const isService = (snippet: Snippet): boolean => keysOf(snippet)[0] === 'zone'
const isLogins = (snippet: Snippet): boolean => keysOf(snippet)[0] === 'auth'
const isEvents = (snippet: Snippet): boolean => keysOf(snippet).includes('webhooks')
const isTargets = (snippet: Snippet): boolean => {
  const [first = ''] = keysOf(snippet)
  if (isService(snippet) || isLogins(snippet) || isEvents(snippet)) return false
  // An option of the same name has a file as its value.
  return ['targets', 'tcp', 'tunnels'].includes(first) || !(FOREIGN.includes(first) || Object.hasOwn(doctorOptions, first))
}

test('there are some', () => {
  expect(SNIPPETS.filter(isTargets).length).toBeGreaterThan(8)
})

describe('a targets file', () => {
  const dir = tempDir()
  test.each(SNIPPETS.filter(isTargets).map(snippet => [snippet.place, snippet.text]))('%s', async (_place, text) => {
    mkdirSync(join(dir, 'pages'), { recursive: true })
    writeFileSync(join(dir, 'pages', 'maintenance.html'), '<p>soon')
    writeFileSync(join(dir, 'people.crt'), (await mintKeyPair({ type: 'ec', commonName: 'people', validityYears: 1 })).certificatePem)
    expect(lintTargets(parseTargets(text, join(dir, 'targets.yaml')))).toEqual([])
  })
})

describe('a file of the service', () => {
  test.each(SNIPPETS.filter(isService).map(({ place, text }) => [place, text]))('%s', (_place, text) => {
    expect(() => parseServiceConfig(text, 'service.yaml')).not.toThrow()
  })

  test('shows every key', () => {
    const shown = SNIPPETS.filter(isService).flatMap(keysOf)
    expect(shown).toEqual(expect.arrayContaining(Object.keys(serviceFileSchema.shape).filter(key => key !== 'storePasswordFile')))
  })
})

describe('a file of logins', () => {
  test.each(SNIPPETS.filter(isLogins).map(({ place, text }) => [place, text]))('%s', (_place, text) => {
    const files = { secret: () => 'secret', text: () => '', logo: () => ({ type: '', bytes: Buffer.alloc(0) }) }
    expect(() => parseVisitorsConfig(text, 'visitors.yaml', files)).not.toThrow()
  })
})

describe('a file of events', () => {
  test.each(SNIPPETS.filter(isEvents).map(({ place, text }) => [place, text]))('%s', (_place, text) => {
    expect(() => parseEventsConfig(text, 'events.yaml')).not.toThrow()
  })
})

describe('a file of options', () => {
  const isOther = (snippet: Snippet): boolean =>
    isTargets(snippet) || isService(snippet) || isLogins(snippet) || isEvents(snippet) || FOREIGN.includes(keysOf(snippet)[0]!)
  test.each(SNIPPETS.filter(snippet => !isOther(snippet)).map(({ place, text }) => [place, text]))('%s', async (_place, text) => {
    const file = join(tempDir(), 'gateway.yaml')
    writeFileSync(file, text)
    const config = await readConfigFile(file, doctorOptions)
    expect(() => resolveOptions(doctorOptions, { flags: {}, env: {}, config })).not.toThrow()
  })
})

test('JSON of the documentation is JSON, and a targets file in it is one', () => {
  for (const { place, text } of PAGES.flatMap(page => snippetsOf(page, ['json']))) {
    const value: unknown = JSON.parse(text)
    // An event has a list of the same name.
    const { targets } = value as { readonly targets?: unknown }
    if (isYamlMap(targets)) expect(() => parseTargets(text, place)).not.toThrow()
  }
})
