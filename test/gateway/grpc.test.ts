/** gRPC from end to end: all four kinds of calls, with their metadata, trailers, status, deadlines and cancellation. */
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Client, ClientDuplexStream, ClientReadableStream, ClientWritableStream, ServiceError, StatusObject } from '@grpc/grpc-js'
import { mintAuthority, mintServer, startStore, writePair } from '../support/certificates.ts'
import { Metadata, openGrpcClient, PATH, same, startGrpcServer, status, type Handlers } from '../support/grpc.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

interface Answer {
  readonly error: ServiceError | null
  readonly value: Buffer | undefined
  readonly metadata: Metadata | undefined
  readonly status: StatusObject | undefined
}

describe.each(['h2c', 'TLS'] as const)('by %s on both sides', how => {
  let layers: Layers
  let handlers: Handlers
  let client: Client

  beforeAll(async () => {
    if (how === 'h2c') {
      const server = await startGrpcServer()
      handlers = server.handlers
      layers = await startLayers({
        origin: server.port,
        targets: 'targets:\n  "*": {protocol: http, hostname: 127.0.0.1, port: {port}, http2: true}\n',
        outer: { appH2c: true },
      })
      client = openGrpcClient(`127.0.0.1:${layers.port}`)
      return
    }
    const authority = await mintAuthority()
    const origin = await mintServer(['grpc.test'], authority)
    const server = await startGrpcServer({ certificate: origin.certificatePem, key: origin.privateKeyPem })
    handlers = server.handlers
    const ca = tempFile('ca.crt', authority.certificatePem)
    layers = await startLayers({
      origin: server.port,
      targets: `targets:\n  "*": {protocol: https, hostname: 127.0.0.1, port: {port}, http2: true, tls: {ca: ${ca}, servername: grpc.test}}\n`,
      outer: { appCertificates: await startStore([writePair(await mintServer(['localhost'], authority))]) },
    })
    client = openGrpcClient(`localhost:${layers.port}`, authority.certificatePem)
  })
  beforeEach(() => {
    Object.assign(handlers, { unary: undefined, serverStream: undefined, clientStream: undefined, bidi: undefined })
  })

  const streamCount = (): number => layers.outer.registry.connections.reduce((sum, { session }) => sum + session.streamCount, 0)
  const nothingLeft = async (): Promise<void> => {
    await until(() => streamCount() === 0, { what: 'no stream left' })
    expect([...layers.outerLogs, ...layers.innerLogs].filter(record => record.level === 'error')).toEqual([])
  }

  const unary = (value: Buffer | string, options: { readonly deadlineMs?: number; readonly metadata?: Metadata } = {}): Promise<Answer> =>
    new Promise(resolve => {
      let answer: Partial<Answer> = {}
      const deadline = options.deadlineMs === undefined ? {} : { deadline: Date.now() + options.deadlineMs }
      const call = client.makeUnaryRequest<Buffer, Buffer>(
        PATH.unary,
        same,
        same,
        Buffer.from(value),
        options.metadata ?? new Metadata(),
        deadline,
        (error, got) => {
          answer = { ...answer, error, value: got }
        },
      )
      call.on('metadata', (metadata: Metadata) => {
        answer = { ...answer, metadata }
      })
      call.on('status', (end: StatusObject) => setImmediate(() => resolve({ ...answer, status: end } as Answer)))
    })

  test('unary, with metadata and trailers', async () => {
    handlers.unary = (call, done) => {
      const initial = new Metadata()
      initial.set('x-initial', String(call.metadata.get('x-asked')[0]))
      call.sendMetadata(initial)
      const trailing = new Metadata()
      trailing.set('x-trailing', 'last')
      trailing.set('x-bytes-bin', Buffer.from([0, 255, 10]))
      done(null, Buffer.concat([Buffer.from('echo '), call.request]), trailing)
    }
    const metadata = new Metadata()
    metadata.set('x-asked', 'for this')
    const answer = await unary('hello', { metadata })
    expect(answer.error).toBeNull()
    expect(answer.value!.toString()).toBe('echo hello')
    expect(answer.metadata!.get('x-initial')).toEqual(['for this'])
    expect(answer.status).toMatchObject({ code: status.OK })
    expect(answer.status!.metadata.get('x-trailing')).toEqual(['last'])
    expect(answer.status!.metadata.get('x-bytes-bin')).toEqual([Buffer.from([0, 255, 10])])
    await nothingLeft()
  })

  test('a status that is no OK comes with its details and trailers, with and without a head before it', async () => {
    const trailing = new Metadata()
    trailing.set('x-why', 'because')
    const refusal = { code: status.NOT_FOUND, details: 'no such thing: ü %', metadata: trailing }
    for (const hasHead of [false, true]) {
      handlers.unary = (call, done) => {
        if (hasHead) call.sendMetadata(new Metadata())
        done(refusal)
      }
      const answer = await unary('x')
      expect(answer.error).toMatchObject({ code: status.NOT_FOUND, details: 'no such thing: ü %' })
      expect(answer.error!.metadata.get('x-why')).toEqual(['because'])
    }
    await nothingLeft()
  })

  test('a method that does not exist', async () => {
    expect((await unary('x')).error).toMatchObject({ code: status.UNIMPLEMENTED })
  })

  test('8 MiB each way', async () => {
    handlers.unary = (call, done) => done(null, call.request)
    const sent = Buffer.alloc(8 << 20, 'gRPC ')
    const { value } = await unary(sent)
    expect(value!.equals(sent)).toBe(true)
  })

  test('100 calls at a time on one connection', async () => {
    handlers.unary = (call, done) => done(null, call.request)
    const answers = await Promise.all(Array.from({ length: 100 }, (_, i) => unary(String(i))))
    expect(answers.map(({ value }) => value?.toString())).toEqual(answers.map((_, i) => String(i)))
    await nothingLeft()
  })

  test('server streaming: each message comes when it is sent', async () => {
    let send: (text: string) => void = () => undefined
    let end: () => void = () => undefined
    handlers.serverStream = call => {
      send = text => call.write(Buffer.from(text))
      end = () => call.end()
    }
    const call: ClientReadableStream<Buffer> = client.makeServerStreamRequest(PATH.serverStream, same, same, Buffer.from('go'))
    const got: string[] = []
    let code: number | undefined
    call.on('data', (message: Buffer) => got.push(message.toString()))
    call.on('status', (last: StatusObject) => (code = last.code))
    await until(() => {
      send('first')
      return got.length > 0
    })
    const before = got.length
    send('second')
    await until(() => got.length > before)
    end()
    await until(() => code !== undefined)
    expect(code).toBe(status.OK)
    await nothingLeft()
  })

  test('client streaming: one answer for many messages', async () => {
    handlers.clientStream = (call, done) => {
      const parts: Buffer[] = []
      call.on('data', (message: Buffer) => parts.push(message))
      call.on('end', () => done(null, Buffer.concat(parts)))
    }
    const value = await new Promise<Buffer | undefined>((resolve, reject) => {
      const call: ClientWritableStream<Buffer> = client.makeClientStreamRequest(PATH.clientStream, same, same, (error, got?: Buffer) =>
        error === null ? resolve(got) : reject(error),
      )
      for (const word of ['a', 'bc', 'def']) call.write(Buffer.from(word))
      call.end()
    })
    expect(value!.toString()).toBe('abcdef')
  })

  test('client streaming: an answer before the request has ended ends it', async () => {
    handlers.clientStream = (call, done) => void call.once('data', () => done({ code: status.RESOURCE_EXHAUSTED, details: 'enough' }))
    const error = await new Promise<ServiceError | null>(resolve => {
      const call = client.makeClientStreamRequest<Buffer, Buffer>(PATH.clientStream, same, same, thrown => resolve(thrown))
      call.on('error', () => undefined)
      call.write(Buffer.from('a'))
    })
    expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: 'enough' })
    await nothingLeft()
  })

  test('both directions at once: question and answer in turn on one call', async () => {
    handlers.bidi = call => {
      call.on('data', (message: Buffer) => call.write(Buffer.concat([message, Buffer.from('!')])))
      call.on('end', () => call.end())
    }
    const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(PATH.bidi, same, same)
    const got: string[] = []
    let code: number | undefined
    call.on('data', (message: Buffer) => got.push(message.toString()))
    call.on('status', (last: StatusObject) => (code = last.code))
    for (let turn = 0; turn < 20; turn++) {
      call.write(Buffer.from(String(turn)))
      await until(() => got.length === turn + 1)
    }
    call.end()
    await until(() => code !== undefined)
    expect(code).toBe(status.OK)
    expect(got).toEqual(Array.from({ length: 20 }, (_, turn) => `${turn}!`))
    await nothingLeft()
  })

  test('a deadline that passes is seen by the client and by the origin', async () => {
    let isCancelled = false
    let deadline: unknown
    handlers.unary = call => {
      deadline = call.getDeadline()
      call.on('cancelled', () => (isCancelled = true))
    }
    // On a busy machine a short one may pass before the call has reached the origin.
    let deadlineMs = 75
    while (deadline === undefined && deadlineMs < 20_000) {
      deadlineMs *= 4
      const { error } = await unary('slow', { deadlineMs })
      expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED })
    }
    await until(() => isCancelled)
    expect(Number(deadline)).toBeLessThanOrEqual(Date.now() + deadlineMs) // it has come as grpc-timeout
    await nothingLeft()
  })

  test('a call that is cancelled is cancelled at the origin', async () => {
    let isOpen = false
    let isCancelled = false
    handlers.bidi = call => {
      isOpen = true
      call.on('cancelled', () => (isCancelled = true))
      call.on('error', () => undefined)
      call.resume()
    }
    const call = client.makeBidiStreamRequest<Buffer, Buffer>(PATH.bidi, same, same)
    let code: number | undefined
    call.on('error', (error: ServiceError) => (code = error.code))
    call.resume()
    call.write(Buffer.from('x'))
    await until(() => isOpen)
    call.cancel()
    await until(() => isCancelled && code !== undefined)
    expect(code).toBe(status.CANCELLED)
    await nothingLeft()
  })

  test('without an inner layer a call fails, and says so', async () => {
    handlers.unary = (call, done) => done(null, call.request)
    layers.inner.destroy()
    await layers.connected(0)
    const { error } = await unary('x')
    expect(error).toMatchObject({ code: status.UNAVAILABLE, details: expect.stringContaining('502') as unknown })
    await layers.addInner()
    expect((await unary('back')).value?.toString()).toBe('back')
  })
})
