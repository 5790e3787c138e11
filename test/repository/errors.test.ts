import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { codeOfReset, ERRORS, type ErrorCode } from '../../src/errors.ts'
import { ROOT } from '../support/process.ts'

const page = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8')

/** Code → the text below its heading. */
const sections = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map(section => [section.slice(0, section.indexOf('\n')), section.slice(section.indexOf('\n') + 1)]),
)
const codes = Object.keys(ERRORS) as ErrorCode[]

describe('docs/errors.md', () => {
  test('has a heading for each code, in the order of the catalogue, and no other', () => {
    expect([...sections.keys()]).toEqual(codes)
  })

  test.each(codes)('%s: the facts and the sentence for clients are those of the catalogue', code => {
    const { status, reset, exit, text } = ERRORS[code]
    const section = sections.get(code)
    expect(section).toContain(`Status ${status === 0 ? '–' : status} · reset ${reset === 0 ? '–' : reset} · `)
    expect(section).toContain(`\n> ${text}\n`)
    expect(section).toContain('**What to do:** ')
    if (status === 0 && reset === 0) expect(section).toContain(`exit ${exit}`)
  })
})

describe('the catalogue of errors', () => {
  test('gives every reset number to one code only, and finds the code by it', () => {
    const numbered = codes.filter(code => ERRORS[code].reset > 0)
    expect(new Set(numbered.map(code => ERRORS[code].reset)).size).toBe(numbered.length)
    expect(numbered.map(code => codeOfReset(ERRORS[code].reset))).toEqual(numbered)
    expect(codeOfReset(4_294_967_295)).toBe('INTERNAL')
  })

  test('tells clients cause and remedy in one sentence, without a host, a port or a path', () => {
    for (const code of codes) expect(ERRORS[code].text).toMatch(/^[A-Z][^\n]*\.$/)
    for (const code of codes) expect(ERRORS[code].text).not.toMatch(/\d+\.\d+\.\d+|:\d{2,}|\/(etc|home|root)\b/)
  })
})
