/** The code that Node.js keeps of a start for the next one, and its place. */
import { chmodSync, existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import * as nodeModule from 'node:module'
import { expect, test } from '@jest/globals'
import { runProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'

const canKeep = 'enableCompileCache' in nodeModule
const folderIn = (home: string): string => join(home, '.cache', 'socket-gateway')
const version = (home: string) => runProcess(['--version'], { env: { HOME: home } })

test('what was compiled is kept in the home directory, where Node.js can, and the next start is the same', async () => {
  const home = tempDir()
  chmodSync(home, 0o700)
  const first = await version(home)
  expect(first).toMatchObject({ code: 0, stderr: '' })
  expect(existsSync(folderIn(home))).toBe(canKeep)
  if (canKeep) expect(readdirSync(folderIn(home), { recursive: true }).length).toBeGreaterThan(1)
  expect(await version(home)).toEqual(first)
})

test('nothing is kept in a home directory that others may write to, and none in one that is not there', async () => {
  const home = tempDir()
  chmodSync(home, 0o777)
  expect(await version(home)).toMatchObject({ code: 0, stderr: '' })
  expect(readdirSync(home)).toEqual([])
  expect(await version(join(home, 'absent'))).toMatchObject({ code: 0, stderr: '' })
  expect(statSync(home).isDirectory() && readdirSync(home)).toEqual([])
})
