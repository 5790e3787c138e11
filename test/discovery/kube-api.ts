/** An API server of Kubernetes, as far as Services, Leases, Events and the Gateway API go: watches with bookmarks, versions that grow too old, conflicts. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { onCleanUp } from '../support/cleanup.ts'
import { listen } from '../support/ports.ts'

type Json = Record<string, unknown>

interface Stored extends Json {
  metadata: { name: string; namespace: string; resourceVersion: string; uid: string; annotations?: Record<string, string> }
}

interface Change {
  readonly kind: string
  readonly version: number
  readonly type: string
  readonly object: Stored
}

interface Follower {
  readonly kind: string
  readonly response: ServerResponse
  readonly namespace: string | undefined
  /** The only type of which it is told; null: all. */
  readonly only: string | null
}

/** The type that a field selector names. */
const typeIn = (url: URL): string | null => /^type=(.*)$/.exec(url.searchParams.get('fieldSelector') ?? '')?.[1] ?? null

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
  /** Collections by their plural. */
  const others = new Map(
    ['gatewayclasses', 'gateways', 'httproutes', 'referencegrants', 'namespaces', 'secrets', 'ingressclasses', 'ingresses'].map(kind => [
      kind,
      new Map<string, Stored>(),
    ]),
  )
  const collectionOf = (kind: string): Map<string, Stored> | undefined => (kind === 'services' ? services : others.get(kind))
  const leases = new Map<string, Stored>()
  const events: Json[] = []
  const changes: Change[] = []
  const followers = new Set<Follower>()
  const requests: string[] = []
  const needless: string[] = []
  let refusing: number | undefined

  const tell = (follower: Follower, { type, object, kind }: Change): void => {
    if (follower.kind !== kind || (follower.only !== null && object['type'] !== follower.only)) return
    if (follower.namespace === undefined || follower.namespace === object.metadata.namespace)
      follower.response.write(`${JSON.stringify({ type, object })}\n`)
  }
  const record = (type: string, object: Stored, kind = 'services'): void => {
    object.metadata.resourceVersion = String(++version)
    changes.push({ version, type, kind, object: structuredClone(object) })
    for (const follower of followers) tell(follower, changes.at(-1)!)
  }
  const refuse = (response: ServerResponse, code: number, message: string): void => {
    response.statusCode = code
    response.end(JSON.stringify({ kind: 'Status', status: 'Failure', code, message }))
  }
  const list = (kind: string, url: URL, namespace: string | undefined, response: ServerResponse): void => {
    const all = [...(collectionOf(kind)?.values() ?? [])].filter(
      ({ metadata, type }) => (namespace === undefined || metadata.namespace === namespace) && (typeIn(url) ?? type) === type,
    )
    const from = Number(url.searchParams.get('continue') ?? 0)
    const end = from + Math.min(2, Number(url.searchParams.get('limit') ?? all.length))
    const metadata = { resourceVersion: String(version), ...(end < all.length && { continue: String(end) }) }
    response.end(JSON.stringify({ kind: 'ServiceList', metadata, items: all.slice(from, end) }))
  }
  const watch = (kind: string, url: URL, namespace: string | undefined, response: ServerResponse): void => {
    const since = Number(url.searchParams.get('resourceVersion'))
    response.writeHead(200, { 'Content-Type': 'application/json' }).flushHeaders()
    if (since < oldest) {
      response.end(`${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old resource version' } })}\n`)
      return
    }
    const follower = { kind, response, namespace, only: typeIn(url) }
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
    const [, namespace, kind = '', name, part] =
      /^\/(?:api\/v1|apis\/(?:coordination\.k8s|(?:gateway\.)?networking\.k8s)\.io\/\w+)(?:\/namespaces\/([^/]+))?\/(\w+)(?:\/([^/]+)(?:\/(status))?)?$/.exec(
        url.pathname,
      ) ?? []
    const key = `${namespace ?? ''}/${name ?? ''}`
    const route = async (): Promise<void> => {
      if (collectionOf(kind) !== undefined && request.method === 'GET' && name === undefined)
        return url.searchParams.has('watch') ? watch(kind, url, namespace, response) : list(kind, url, namespace, response)
      if (others.has(kind) && request.method === 'PATCH' && part === 'status') {
        const object = others.get(kind)?.get(key)
        const { metadata, status } = (await bodyOf(request)) as { metadata: { resourceVersion: string }; status: Json }
        if (object === undefined) return refuse(response, 404, 'not found')
        if (metadata.resourceVersion !== object.metadata.resourceVersion) return refuse(response, 409, 'the object has been modified')
        const before = JSON.stringify(object['status'])
        object['status'] = { ...(object['status'] as Json | undefined), ...status }
        if (before === JSON.stringify(object['status'])) needless.push(`${kind} ${key}`)
        record('MODIFIED', object, kind)
        return void response.end(JSON.stringify(object))
      }
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
    /** Objects whose status was written although it stood there already. */
    needless,
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
    /** Makes or changes an object of the Gateway API, or a Namespace (`namespace: ''`), as an API server would: its spec is a new generation. */
    put: (kind: string, name: string, spec: Json, metadata: Json = {}): void => {
      const namespace = typeof metadata['namespace'] === 'string' ? metadata['namespace'] : 'default'
      const key = `${namespace}/${name}`
      const before = others.get(kind)?.get(key)
      const generation = 1 + Number((before?.metadata as Json | undefined)?.['generation'] ?? 0)
      const object: Stored = {
        metadata: { ...metadata, name, namespace, uid: `uid-${name}`, resourceVersion: '', ...{ generation } },
        spec,
        ...(before !== undefined && { status: before['status'] }),
      }
      if (namespace === '') delete (object.metadata as Partial<Stored['metadata']>).namespace
      others.get(kind)?.set(key, object)
      record(before === undefined ? 'ADDED' : 'MODIFIED', object, kind)
    },
    /** Makes or changes a Secret. @param values  in clear */
    secret: (name: string, values: Readonly<Record<string, string>>, namespace = 'default', type = 'kubernetes.io/tls'): void => {
      const before = others.get('secrets')?.get(`${namespace}/${name}`)
      const data = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]))
      const object: Stored = { metadata: { name, namespace, uid: `uid-${name}`, resourceVersion: '' }, type, data }
      others.get('secrets')?.set(`${namespace}/${name}`, object)
      record(before === undefined ? 'ADDED' : 'MODIFIED', object, 'secrets')
    },
    drop: (kind: string, key: string): void => {
      const object = others.get(kind)!.get(key)!
      others.get(kind)!.delete(key)
      record('DELETED', object, kind)
    },
    /** Of `namespace/name`. */
    statusOf: (kind: string, key: string): unknown => others.get(kind)?.get(key)?.['status'],
    /** Puts in what another controller would. */
    setStatus: (kind: string, key: string, status: Json): void => {
      const object = others.get(kind)!.get(key)!
      object['status'] = status
      record('MODIFIED', object, kind)
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
