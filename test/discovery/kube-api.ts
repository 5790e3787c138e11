/** An API server of Kubernetes, as far as Services, Leases and Events go: watches with bookmarks, versions that grow too old, conflicts. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'

type Json = Record<string, unknown>

interface Stored extends Json {
  metadata: { name: string; namespace: string; resourceVersion: string; uid: string; annotations?: Record<string, string> }
}

interface Change {
  readonly version: number
  readonly type: string
  readonly object: Stored
}

interface Follower {
  readonly response: ServerResponse
  readonly namespace: string | undefined
}

const bodyOf = async (request: IncomingMessage): Promise<Json> => {
  let text = ''
  for await (const part of request) text += String(part)
  return text === '' ? {} : (JSON.parse(text) as Json)
}

/** Objects the test has in hand. `requests` are what was asked for, such as `GET /api/v1/services`. */
export const startKubeApi = async () => {
  let version = 1
  let oldest = 0
  const services = new Map<string, Stored>()
  const leases = new Map<string, Stored>()
  const events: Json[] = []
  const changes: Change[] = []
  const followers = new Set<Follower>()
  const requests: string[] = []
  let refusing: number | undefined

  const tell = (follower: Follower, { type, object }: Pick<Change, 'type' | 'object'>): void => {
    if (follower.namespace === undefined || follower.namespace === object.metadata.namespace)
      follower.response.write(`${JSON.stringify({ type, object })}\n`)
  }
  const record = (type: string, object: Stored): void => {
    object.metadata.resourceVersion = String(++version)
    changes.push({ version, type, object: structuredClone(object) })
    for (const follower of followers) tell(follower, changes.at(-1)!)
  }
  const refuse = (response: ServerResponse, code: number, message: string): void => {
    response.statusCode = code
    response.end(JSON.stringify({ kind: 'Status', status: 'Failure', code, message }))
  }
  const list = (url: URL, namespace: string | undefined, response: ServerResponse): void => {
    const all = [...services.values()].filter(({ metadata }) => namespace === undefined || metadata.namespace === namespace)
    const from = Number(url.searchParams.get('continue') ?? 0)
    const end = from + Math.min(2, Number(url.searchParams.get('limit') ?? all.length))
    const metadata = { resourceVersion: String(version), ...(end < all.length && { continue: String(end) }) }
    response.end(JSON.stringify({ kind: 'ServiceList', metadata, items: all.slice(from, end) }))
  }
  const watch = (url: URL, namespace: string | undefined, response: ServerResponse): void => {
    const since = Number(url.searchParams.get('resourceVersion'))
    response.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders()
    if (since < oldest) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old resource version' } })}\n`)
      return
    }
    const follower = { response, namespace }
    for (const change of changes) if (change.version > since) tell(follower, change)
    followers.add(follower)
    response.on('close', () => followers.delete(follower))
  }
  const put = async (collection: Map<string, Stored>, key: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = (await bodyOf(request)) as Stored
    const before = collection.get(key)
    if (before === undefined) return refuse(response, 404, `${key} not found`)
    if (body.metadata.resourceVersion !== before.metadata.resourceVersion)
      return refuse(response, 409, 'the object has been modified; please apply your changes to the latest version and try again')
    body.metadata.resourceVersion = String(++version)
    collection.set(key, body)
    response.end(JSON.stringify(body))
  }
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://kube')
    requests.push(`${request.method} ${url.pathname}${url.searchParams.has('watch') ? '?watch' : ''}`)
    if (refusing !== undefined) return refuse(response, refusing, 'is forbidden')
    response.setHeader('Content-Type', 'application/json')
    const [, namespace, kind = '', name] =
      /^\/(?:api\/v1|apis\/coordination\.k8s\.io\/v1)(?:\/namespaces\/([^/]+))?\/(\w+)(?:\/([^/]+))?$/.exec(url.pathname) ?? []
    const key = `${namespace ?? ''}/${name ?? ''}`
    const route = async (): Promise<void> => {
      if (kind === 'services' && request.method === 'GET' && name === undefined)
        return url.searchParams.has('watch') ? watch(url, namespace, response) : list(url, namespace, response)
      if (kind === 'services' && request.method === 'PATCH') {
        const service = services.get(key)
        if (service === undefined) return refuse(response, 404, 'not found')
        const patch = ((await bodyOf(request)) as { metadata: { annotations: Record<string, string | null> } }).metadata.annotations
        const annotations = new Map(Object.entries(service.metadata.annotations ?? {}))
        for (const [annotation, value] of Object.entries(patch)) {
          if (value === null) annotations.delete(annotation)
          else annotations.set(annotation, value)
        }
        service.metadata.annotations = Object.fromEntries(annotations)
        record('MODIFIED', service)
        return void response.end(JSON.stringify(service))
      }
      if (kind === 'leases' && request.method === 'GET') {
        const lease = leases.get(key)
        return lease === undefined ? refuse(response, 404, 'not found') : void response.end(JSON.stringify(lease))
      }
      if (kind === 'leases' && request.method === 'PUT') return put(leases, key, request, response)
      if (kind === 'leases' && request.method === 'POST') {
        const lease = (await bodyOf(request)) as Stored
        const own = `${namespace ?? ''}/${lease.metadata.name}`
        if (leases.has(own)) return refuse(response, 409, 'already exists')
        lease.metadata.resourceVersion = String(++version)
        leases.set(own, lease)
        return void response.writeHead(201).end(JSON.stringify(lease))
      }
      if (kind === 'events' && request.method === 'POST') {
        events.push(await bodyOf(request))
        return void response.writeHead(201).end('{}')
      }
      return refuse(response, 404, `no ${url.pathname}`)
    }
    void route()
  })
  const port = await listen(server)
  onCleanUp(() => server.close())
  onCleanUp(() => server.closeAllConnections())
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    events,
    leases,
    lists: () => requests.filter(each => each === 'GET /api/v1/services').length,
    watches: () => requests.filter(each => each === 'GET /api/v1/services?watch').length,
    followers: () => followers.size,
    annotationsOf: (name: string) => services.get(`default/${name}`)?.metadata.annotations ?? {},
    /** Makes or changes a Service of the namespace default. */
    set: (name: string, annotations: Record<string, string>, ports: readonly Json[] = [{ port: 80 }], spec: Json = {}): void => {
      const before = services.get(`default/${name}`)
      const object: Stored = {
        metadata: { name, namespace: 'default', uid: `uid-${name}`, resourceVersion: '', annotations },
        spec: { clusterIP: '10.0.0.1', ports, ...spec },
      }
      services.set(`default/${name}`, object)
      record(before === undefined ? 'ADDED' : 'MODIFIED', object)
    },
    remove: (name: string): void => {
      const object = services.get(`default/${name}`)!
      services.delete(`default/${name}`)
      record('DELETED', object)
    },
    /** Tells the version of now, as an API server does every minute. */
    bookmark: (): void => {
      for (const { response } of followers)
        response.write(
          `${JSON.stringify({ type: 'BOOKMARK', object: { kind: 'Service', metadata: { resourceVersion: String(version) } } })}\n`,
        )
    },
    /** Forgets all changes up to now, so that a watch from before is answered 410. */
    forget: (): void => {
      oldest = version
      changes.length = 0
    },
    /** Cuts the watches, each in the middle of a line. */
    cut: (): void => {
      for (const { response } of followers) response.write('{"type":"ADDED","obj', () => response.destroy())
    },
    /** Answers every request with this status; undefined: as usual. */
    refuse: (status: number | undefined): void => {
      refusing = status
      for (const { response } of followers) response.destroy()
    },
  }
}
