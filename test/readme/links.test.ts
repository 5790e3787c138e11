/** Pages that name files, headings and rooms: all of them are there. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { readRooms, renderRooms, tableOfPage } from '../../scripts/rooms-table.ts'
import { ROOT } from '../support/process.ts'
import { readPage } from './markdown.ts'

const PAGES = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  'scenario/README.md',
  ...readdirSync(join(ROOT, 'docs'))
    .filter(name => name.endsWith('.md'))
    .map(name => `docs/${name}`),
]

const withoutCode = (page: string): string =>
  page.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, code => code.replace(/[[\]()]/g, ' '))

/** The anchor that GitHub gives a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-')

const anchorsOf = (path: string): string[] =>
  [
    ...readPage(path)
      .replace(/^```.*?^```$/gms, '')
      .matchAll(/^#+ (.+)$/gm),
  ].map(([, heading]) => anchorOf(heading!))

const linksIn = (path: string): string[] => [...withoutCode(readPage(path)).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!)

describe('links in', () => {
  test.each(PAGES)('%s lead somewhere', path => {
    const broken = linksIn(path).filter(link => {
      if (/^[a-z]+:/.test(link)) return false
      const [file = '', anchor] = link.split('#')
      const target = file === '' ? path : normalize(join(dirname(path), file))
      return !existsSync(join(ROOT, target)) || (anchor !== undefined && !anchorsOf(target).includes(anchor))
    })
    expect(broken).toEqual([])
  })

  test('all pages of the package lead to files of the package', () => {
    const arguments_ = ['pack', '--dry-run', '--json', '--ignore-scripts']
    const [{ files }] = JSON.parse(
      execFileSync('npm', arguments_, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }),
    ) as [{ readonly files: readonly { readonly path: string }[] }]
    const packed = files.map(({ path }) => path)
    expect(packed).toEqual(expect.arrayContaining(PAGES))
    // What is served as it stands is no output of the compiler.
    expect(packed).toEqual(
      expect.arrayContaining(['index.html', 'js', 'css'].map(end => expect.stringMatching(`^dist/console-app/.*${end}$`))),
    )
    expect(packed.filter(path => path.includes('.built'))).toEqual([])
    const broken = PAGES.flatMap(page => linksIn(page).map(link => [page, link] as const)).filter(([page, link]) => {
      const [file = ''] = link.split('#')
      const target = normalize(join(dirname(page), file))
      return !/^[a-z]+:/.test(link) && file !== '' && !packed.some(path => path === target || path.startsWith(`${target}/`))
    })
    expect(broken).toEqual([])
  })

  test('the README lead to every page of docs/', () => {
    for (const path of PAGES.filter(page => page.startsWith('docs/'))) expect(readPage('README.md')).toContain(`](${path})`)
  })
})

describe('ARCHITECTURE.md', () => {
  test('has the room table of .dependency-cruiser.cjs (scripts/rooms-table.ts writes it)', () => {
    expect(tableOfPage().split('\n')).toEqual(renderRooms().split('\n'))
  })

  test('has no circle of rooms in that table', () => {
    const { ROOMS } = readRooms()
    const left = new Map(Object.entries(ROOMS).map(([room, { rooms = [] }]) => [room, rooms]))
    // Takes away what imports nothing that is left, until nothing of that kind is left.
    for (let before = 0; before !== left.size;) {
      before = left.size
      for (const [room, rooms] of left) if (rooms.every(other => !left.has(other))) left.delete(room)
    }
    expect([...left.keys()]).toEqual([])
  })

  test('names files that are there', () => {
    const page = readPage('ARCHITECTURE.md')
    const named = [
      ...page.matchAll(
        /`((?:address|admin|cli|config|http|identity|inner|link|mux|net|origin|outer|payload|rates|route|splice|sokken|telemetry|tls|tunnel|wire|scripts|docs)\/[\w./-]*)`/g,
      ),
    ].map(([, path]) => path!)
    const isThere = (path: string): boolean => existsSync(join(ROOT, path)) || existsSync(join(ROOT, 'src', path))
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter(path => !isThere(path))).toEqual([])
  })

  test('draws every folder of src/', () => {
    const tree = /^```\n(├── README.*?)^```$/ms.exec(readPage('ARCHITECTURE.md'))![1]!
    for (const entry of readdirSync(join(ROOT, 'src'), { withFileTypes: true })) {
      expect(tree).toContain(` ${entry.name}${entry.isDirectory() ? '/' : ''}`)
    }
  })
})
