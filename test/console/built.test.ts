/** The console as it is shipped. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'

const FOLDER = join(import.meta.dirname, '../../dist/console-app')

test('the built console is below 120 KB, packed as it is sent, and names no other host', () => {
  const files = ['index.html', ...readdirSync(join(FOLDER, 'assets')).map(name => join('assets', name))]
  expect(files).toEqual(expect.arrayContaining([expect.stringMatching(/\.js$/), expect.stringMatching(/\.css$/)]))
  const packed = files.reduce((sum, name) => sum + gzipSync(readFileSync(join(FOLDER, name))).length, 0)
  expect(packed).toBeLessThan(120_000)
  const urls = files.flatMap(name => readFileSync(join(FOLDER, name), 'utf8').match(/https?:\/\/[\w.-]+/g) ?? [])
  // Names of namespaces, and the example in a hint.
  expect(urls.filter(url => !/www\.w3\.org|example\.com/.test(url))).toEqual([])
})
