/** A service of the program that is measured: its file, an account, sockets. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Fleet } from './fleet.ts'

const DEADLINE_MS = 30_000
const POLL_MS = 2
const PASSWORD = 'a password for this run'

/** Waits for `look` to give something. @throws Error when it does not within half a minute */
export const until = async <T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> => {
  const end = performance.now() + DEADLINE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`)
    await delay(POLL_MS)
  }
}

/** The file of a service that nobody has used yet, and who may. */
export interface ServiceFile {
  readonly file: string
  readonly admin: string
  /** The invitation of its first account. */
  readonly link: string
}

/** Writes the file of a service for the zone localhost whose inner layers come to `socketPort`. */
export const initService = async (fleet: Fleet, socketPort: number): Promise<ServiceFile> => {
  const file = join(fleet.directory, `service-${socketPort}`, 'service.yaml')
  const init = await fleet.run([process.execPath, fleet.program(), 'service', 'init', '--zone', 'localhost', '--service', file, '--json'])
  const { link, admin } = JSON.parse(init) as { readonly link: string; readonly admin: string }
  writeFileSync(file, readFileSync(file, 'utf8').replace('localhost:3001', `localhost:${socketPort}`))
  return { file, admin, link }
}

/** Makes the first account once the API at `api` answers, and logs in; resolves with the file of the login. */
export const joinService = async (fleet: Fleet, api: string, { admin, link }: ServiceFile): Promise<string> => {
  const program = [process.execPath, fleet.program()]
  await until('the API', () =>
    fetch(`${api}/api/v1/version`).then(
      ({ ok }) => (ok ? true : undefined),
      () => undefined,
    ),
  )
  const credentials = join(fleet.directory, `credentials-${new URL(api).port}.json`)
  const invitation = link.replace('http://localhost:3000', api)
  await fleet.run([...program, 'account', 'create', '--server', api, '--invitation', invitation, '--name', 'Bench', '--password', PASSWORD])
  await fleet.run([...program, 'login', '--server', api, '--email', admin, '--password', PASSWORD, '--credentials', credentials])
  return credentials
}

/** Makes so many sockets that nobody serves. */
export const makeSockets = async (api: string, credentials: string, count: number): Promise<void> => {
  const { servers } = JSON.parse(readFileSync(credentials, 'utf8')) as { readonly servers: Record<string, { readonly token: string }> }
  const [login] = Object.values(servers)
  for (let made = 0; made < count; made++) {
    const response = await fetch(`${api}/api/v1/sockets`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${login?.token ?? ''}`, 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: `idle ${made}`, type: 'http' }),
    })
    if (!response.ok) throw new Error(`a socket was not made: ${response.status} ${await response.text()}`)
    await response.arrayBuffer()
  }
}
