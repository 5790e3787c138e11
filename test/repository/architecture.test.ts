import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT, startProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'

/** Runs dependency-cruiser with the rules of the repository over `src` of the folder. */
const cruise = async (folder: string): Promise<{ code: number | null; output: string }> => {
  const running = startProcess(
    [join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'), '--config', '.dependency-cruiser.cjs', 'src'],
    {
      program: process.execPath,
      cwd: folder,
    },
  )
  const { code } = await running.exit
  return { code, output: running.output }
}

/** A small repository with the rules of this one and nothing but these files: path under src/ → text. */
const repositoryOf = (files: Readonly<Record<string, string>>): string => {
  const folder = tempDir()
  for (const name of ['package.json', 'tsconfig.json', '.dependency-cruiser.cjs', 'scripts/bundled-packages.json'])
    cpSync(join(ROOT, name), join(folder, name))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, 'src', path)), { recursive: true })
    writeFileSync(join(folder, 'src', path), text)
  }
  return folder
}

const empty = 'export const nothing = 0\n'
const using = (from: string): string => `import * as used from '${from}'\nexport const use = used\n`

/** What must be refused: what it is, the rule and the file that the report names, the files. */
const REFUSED: readonly (readonly [what: string, report: string, files: Readonly<Record<string, string>>])[] = [
  ['a room that imports another one without leave', 'wire-rooms: src/wire/a.ts', { 'wire/a.ts': using('../mux/b.ts'), 'mux/b.ts': empty }],
  ['outer that imports inner', 'outer-rooms: src/outer/a.ts', { 'outer/a.ts': using('../inner/b.ts'), 'inner/b.ts': empty }],
  [
    'even if only its types',
    'mux-rooms: src/mux/t.ts',
    { 'mux/t.ts': "export type { T } from '../http/t.ts'\n", 'http/t.ts': 'export type T = 1\n' },
  ],
  ['a package in the wrong room', 'mux-npm: src/mux/p.ts', { 'mux/p.ts': using('socket.io') }],
  ['a package that only development may use', 'only-declared-packages: src/cli/p.ts', { 'cli/p.ts': using('supertest') }],
  ['a socket in a pure room', 'wire-node: src/wire/n.ts', { 'wire/n.ts': using('node:net') }],
  ['more than types of node:http in link', 'link-types-only: src/link/n.ts', { 'link/n.ts': using('node:http') }],
  [
    'an edge that reaches into another edge',
    'outer/tcp-edge-rooms: src/outer/tcp-edge/a.ts',
    { 'outer/tcp-edge/a.ts': using('../http-edge/z.ts'), 'outer/http-edge/z.ts': empty },
  ],
  ['process beyond main.cts', 'outer-node: src/outer/n.ts', { 'outer/n.ts': using('node:process') }],
  ['a circle', 'no-circular: src/mux/c.ts', { 'mux/c.ts': using('./d.ts'), 'mux/d.ts': using('./c.ts') }],
  ['a folder without a row', 'room-without-a-row: src/util/a.ts', { 'util/a.ts': using('../errors.ts'), 'errors.ts': empty }],
  ['a lone file in a folder without a row', 'lone-file-without-a-row: src/helper/a.ts', { 'helper/a.ts': empty }],
  ['the demo in another room than cli', 'outer-rooms: src/outer/d.ts', { 'outer/d.ts': using('../cli/demo/d.ts'), 'cli/demo/d.ts': empty }],
]

describe('the room table', () => {
  test('holds for the code', async () => {
    const { code, output } = await cruise(ROOT)
    expect(output).toContain('no dependency violations found')
    expect(code).toBe(0)
  })

  describe('of a repository that keeps to it in some files and not in others', () => {
    const granted = {
      'wire/good.ts': using('../errors.ts'),
      'mux/good.ts': using('../wire/good.ts'),
      'link/good.ts': `${using('socket.io')}export type { T } from '../mux/good-type.ts'\n`,
      'mux/good-type.ts': 'export type T = 1\n',
      'http/good.ts': "import type { IncomingMessage } from 'node:http'\nexport type Message = IncomingMessage\n",
      'outer/http-edge/good.ts': using('node:http'),
      'cli/demo/good.ts': using('../../outer/good.ts'),
      'outer/good.ts': using('./http-edge/good.ts'),
      'main.cts': using('./cli/good.ts'),
      'cli/good.ts': using('./demo/good.ts'),
    }
    let report: { code: number | null; output: string }
    beforeAll(async () => {
      report = await cruise(repositoryOf(Object.assign({}, granted, ...REFUSED.map(([, , files]) => files)) as Record<string, string>))
    })

    test.each(REFUSED)('refuses %s', (_what, line) => {
      expect(report.output).toContain(`error ${line}`)
      expect(report.code).not.toBe(0)
    })

    test('lets through what it grants', () => {
      expect(Object.keys(granted).filter(file => report.output.includes(`src/${file}`))).toEqual([])
    })
  })
})
