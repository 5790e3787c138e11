/** What the door says to people. */
import { expect, test } from '@jest/globals'
import { usageLines } from '../../src/ssh/greeting.ts'

test.each([
  [undefined, 'ssh -R 80:localhost:8000 ssh.example.com'],
  [22, 'ssh -R 80:localhost:8000 ssh.example.com'],
  [2222, 'ssh -p 2222 -R 80:localhost:8000 ssh.example.com'],
])('the example of a door at port %p is a command that works', (port, command) => {
  const facts = { welcome: 'Welcome!', host: 'ssh.example.com', ...(port !== undefined && { port }) }
  expect(usageLines(facts).at(-1)?.trim()).toBe(command)
})
