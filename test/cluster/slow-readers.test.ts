/** Readers of what all nodes tell that do not read for a while: once they do, they hear that something was left out, also when nothing comes any more. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { InspectorStream } from '../../src/cluster/views/inspector-stream.ts'
import { answerLines } from '../../src/cluster/views/lines.ts'
import type { PeerCalls } from '../../src/peers/peer-calls.ts'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'
import { once, until } from '../support/wait.ts'

const fault = (thrown: unknown): never => {
  throw thrown
}
const LINE = { type: 'request', request: { id: 'x'.repeat(60_000) } }

/** The text that a reader gets who begins to read when `told` has told all that it has to tell, until the last line says `reset`. */
const readLate = async (answer: (request: IncomingMessage, response: ServerResponse) => void, tell: () => boolean): Promise<string> => {
  const port = await listen(createServer(answer))
  const socket = connect(port, '127.0.0.1')
  onCleanUp(() => void socket.destroy())
  socket.write('GET /lines HTTP/1.1\r\nHost: a\r\n\r\n')
  await once(socket, 'readable')
  await until(tell, { what: 'lines that nobody reads' })
  let text = ''
  socket.setEncoding('latin1').on('data', (piece: string) => (text += piece))
  await until(() => text.includes('"type":"reset"'), { what: 'the word that something was left out' })
  return text
}

test('lines for another node', async () => {
  let send: (value: unknown) => boolean = () => false
  const answer = (_request: IncomingMessage, response: ServerResponse): void =>
    void answerLines(
      response,
      fault,
      given => {
        send = given
        send({ type: 'first' })
        return () => undefined
      },
      again => void again({ type: 'reset' }),
    )
  const text = await readLate(answer, () => !send(LINE))
  expect(text.match(/"type":"reset"/g)).toHaveLength(1)
  expect(text.indexOf('"reset"')).toBeGreaterThan(text.lastIndexOf('"request"'))
})

test('the list of the inspectors of all nodes', async () => {
  let line: (value: unknown) => void = () => undefined
  let response: ServerResponse | undefined
  const calls = {
    follow: (_call: unknown, listener: { readonly line: (peer: object, value: unknown) => void }) => {
      line = value => listener.line({ id: '', name: 'a' }, value)
      return () => undefined
    },
  } as unknown as PeerCalls
  const answer = (request: IncomingMessage, given: ServerResponse): void => {
    response = given
    const call = { request, response, query: new URLSearchParams() }
    const stream = new InspectorStream(call, { calls, call: { path: '/' }, self: { id: '', name: 'a' } }, fault)
    response.once('close', stream.close)
    line({ type: 'gone', ids: [] })
  }
  const unread = (): number => response!.writableLength
  const text = await readLate(answer, () => {
    const before = unread()
    line(LINE)
    return before > 0 && unread() === before
  })
  expect(text.match(/"type":"reset"/g)).toHaveLength(1)
  expect(text.indexOf('"reset"')).toBeGreaterThan(text.lastIndexOf('"request"'))
})
