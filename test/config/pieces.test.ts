/** A long targets file, read in pieces with pauses between them, means what it means as a whole. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ConfigError } from '../../src/config/document/fault.ts'
import { parseYaml } from '../../src/config/document/yaml.ts'
import { lintTargets, lintTargetsInSlices } from '../../src/config/lint.ts'
import { piecesOf, type Piece } from '../../src/config/pieces.ts'
import { inSlices } from '../../src/config/slices.ts'
import { parseTargets, parseTargetsInSlices } from '../../src/config/targets.ts'

const host = (i: number): string =>
  `  host-${i}.test:\n    protocol: http # of ${i}\n    hostname: h${i}\n    policy:\n      /status: [GET]\n      ^/v1/x${i}/.*: '*'\n\n`
const FILLER = Array.from({ length: 400 }, (_, i) => host(i)).join('')
const piecesIn = (text: string): readonly Piece[] => [...piecesOf(text)].filter(piece => piece !== undefined)

const messageOf = (text: string): string => {
  try {
    parseTargets(text, 't.yaml')
    return ''
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as ConfigError).message
  }
}

test('each host is in one piece, and every line keeps its number', () => {
  const text = `# first\ntargets: # all of them\n${FILLER}# between\ntcp:\n  '22': {hostname: ssh}\n`
  const lines = text.split('\n')
  const pieces = piecesIn(text)
  expect(pieces.length).toBeGreaterThan(4)
  const found = new Set<string>()
  for (const { text: piece, firstLine } of pieces.slice(1)) {
    expect(piece.length).toBeLessThan(10_000)
    piece.split('\n').forEach((line, i) => {
      if (i === 0 || line.trim() === '') return
      expect(lines[firstLine - 1 + i]).toBe(line)
      if (/^ {2}\S/.test(line)) found.add(line.trim())
    })
  }
  expect(found.size).toBe(400)
  const table = parseTargets(text, 't.yaml')
  expect([table.targets.length, table.targets[399]?.line, table.tcp.length, table.tcp[0]?.options.line]).toEqual([400, 2_796, 1, 2_805])
})

test('what the pieces say together is what the whole says', () => {
  const scalar = fc.constantFrom(
    'x',
    "'y # no comment'",
    '"a: b"',
    '|\n      text\n      more',
    '>-\n      folded',
    '[1, 2]',
    '{a: 1}',
    '[1,\n      2]',
  )
  const line = fc.constantFrom('', '  # a comment', '# another')
  const value = fc.tuple(scalar, line).map(([text, more]) => `    key: ${text}\n${more === '' ? '' : `${more}\n`}`)
  const hosts = fc.array(value, { minLength: 2, maxLength: 8 })
  fc.assert(
    fc.property(hosts, fc.boolean(), (values, isCrlf) => {
      const plain = `$schema: x\ntargets:\n${values.map((each, i) => `  h${i}:\n${each}`).join('')}${FILLER}tunnels: {}\n`
      const text = isCrlf ? plain.replaceAll('\n', '\r\n') : plain
      const pieces = piecesIn(text)
      expect(pieces.length).toBeGreaterThan(2)
      const documents = pieces.map(piece => parseYaml(piece.text, 't.yaml', piece.firstLine))
      const whole = parseYaml(text, 't.yaml')
      const targets = Object.assign({}, ...documents.map(({ value }) => (value as { targets: object }).targets)) as Record<string, unknown>
      expect({ ...(documents[0]!.value as object), targets }).toEqual({ ...(whole.value as object) })
      for (const name of Object.keys(targets)) {
        const document = documents.find(({ value }) => Object.hasOwn((value as { targets: object }).targets, name))!
        expect(document.place(['targets', name, 'key'])).toEqual(whole.place(['targets', name, 'key']))
      }
    }),
    { numRuns: 30 },
  )
})

test.each([
  ['JSON', JSON.stringify({ targets: Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`h${i}.test`, { hostname: 'x' }])) })],
  ['flow style', `targets: {\n${Array.from({ length: 2_000 }, (_, i) => `  h${i}.test: {hostname: x},\n`).join('')}  }\n`],
  [
    'an anchor in one host and its alias in another',
    `targets:\n  a.test: {hostname: x, policy: &all {'/a': [GET]}}\n${FILLER}  b.test: {hostname: x, policy: *all}\n`,
  ],
  ['a marker of a document', `---\ntargets:\n${FILLER}`],
])('%s is read as a whole', (_name, text) => {
  expect(piecesIn(text)).toHaveLength(1)
  expect(parseTargets(text, 't.yaml').targets.length).toBeGreaterThan(100)
})

describe('faults', () => {
  test.each([
    ['of a key', '  bad.test:\n    hostname: x\n    prot: 5\n', /^t\.yaml:2804:5: targets\."bad\.test"\.prot: unknown key/],
    ['of the syntax', '  bad.test:\n    hostname: x: y\n', /^t\.yaml:2803:\d+: not valid YAML/],
    [
      'of the same host twice, pieces apart',
      '  HOST-0.test: {hostname: x}\n',
      /^t\.yaml:2802:3: .*duplicate host: the same as the one of line 2,/,
    ],
    ['of a text without its quotes', '  *.bad.test:\n    hostname: x\n', /^t\.yaml:2802:3: '\*\.bad\.test' has to be quoted/],
    ['of a list among the hosts', '  - x\n', /^t\.yaml:2802:\d+: /],
    ['of a host that stands too far out', ' bad.test:\n    hostname: x\n', /^t\.yaml:280[123]:\d+: /],
  ])('%s have their line', (_name, lines, message) => {
    expect(messageOf(`targets:\n${FILLER}${lines}`)).toMatch(message)
  })

  test('of many pieces are told together', () => {
    const bad = (name: string): string => `  ${name}.test: {hostname: x, port: 0}\n`
    const message = messageOf(`targets:\n${bad('one')}${FILLER}${bad('two')}tcp: {x: {hostname: a}}\n`)
    expect(message.split('\n').map(line => /^t\.yaml:\d+/.exec(line)?.[0])).toEqual(['t.yaml:2', 't.yaml:2803', 't.yaml:2804'])
  })
})

test('the event loop turns many times while a long file is read and judged', async () => {
  const text = `targets:\n${Array.from({ length: 3_000 }, (_, i) => host(i)).join('')}`
  let turns = 0
  let isOver = false
  const turn = (): void => {
    turns++
    if (!isOver) setImmediate(turn)
  }
  turn()
  const table = await parseTargetsInSlices(text, 't.yaml')
  const warnings = await lintTargetsInSlices(table)
  isOver = true
  expect(table.targets).toHaveLength(3_000)
  expect(warnings).toEqual(lintTargets(table))
  expect(turns).toBeGreaterThan(10)
})

test('slices hand on what a computation returns and throws', async () => {
  function* counting(to: number): Generator<undefined, number> {
    for (let i = 0; i < to; i++) yield
    if (to > 100) throw new Error('too far')
    return to
  }
  expect(await inSlices(counting(7))).toBe(7)
  await expect(inSlices(counting(101))).rejects.toThrow('too far')
})
