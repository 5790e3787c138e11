/** A directory before that of Pebble, which says other things of it: for authorities that can more, or that refuse. */
import { createServer, type Server } from 'node:https'
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { mintAuthority, mintServer, writePair } from './certificates.ts'
import type { Pebble } from './pebble.ts'
import { closeAfterwards, listen } from './ports.ts'
import { tempFile } from './temp.ts'

/** An answer of its own; undefined: nothing has to be said. */
export interface OwnAnswer {
  readonly status: number
  readonly fields?: Readonly<Record<string, string>>
  readonly body: unknown
}

export interface DirectoryBefore {
  /** As Pebble, with the directory of this one. */
  readonly pebble: Pebble
  /** Paths that it was asked for. */
  readonly asked: string[]
}

/**
 * Starts it.
 * @param own     resources that it serves itself, such as `renewalInfo`
 * @param answer  gives the answer for a path below one of these
 */
export const startDirectoryBefore = async (
  pebble: Pebble,
  own: readonly string[],
  answer: (path: string) => OwnAnswer,
): Promise<DirectoryBefore> => {
  const authority = await mintAuthority()
  const { certificate, key } = writePair(await mintServer(['127.0.0.1'], authority))
  const asked: string[] = []
  let url = ''
  const server: Server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (req, res) => {
    const path = req.url ?? ''
    req.resume()
    if (path === '/dir') {
      const sent = request(pebble.directory, { ca: pebble.ca, agent: false }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
        response.on('end', () => {
          const directory = { ...(JSON.parse(text) as object), ...Object.fromEntries(own.map(name => [name, `${url}/${name}`])) }
          res.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(directory))
        })
      })
      sent.on('error', () => res.destroy())
      sent.end()
      return
    }
    asked.push(path)
    const { status, fields, body } = answer(path)
    res.writeHead(status, { 'Content-Type': 'application/json', ...fields }).end(JSON.stringify(body))
  })
  closeAfterwards(server)
  url = `https://127.0.0.1:${await listen(server)}`
  const caFile = tempFile('authorities.crt', pebble.ca + authority.certificatePem)
  return { pebble: { ...pebble, directory: `${url}/dir`, caFile }, asked }
}
