import { HelloProgress, readClientHello } from './client-hello.ts'

/** The first message of a client. */
export interface FirstMessage {
  /** All that has come so far. */
  readonly bytes: Buffer
  /** In lower case; undefined when there is none. */
  readonly name: string | undefined
  /** Protocols that the client offers. */
  readonly alpn: readonly string[]
  /** The reason why this is no ClientHello; undefined when it is one. */
  readonly fault: string | undefined
}

/**
 * Collects the first message of a client until its name can be read.
 * @returns takes the next chunk; gives the message once it is whole, undefined while more is needed
 */
export function helloReader(): (chunk: Buffer) => FirstMessage | undefined {
  const progress = new HelloProgress()
  let chunks: Buffer[] = []
  let [length, wanted] = [0, 1]
  return chunk => {
    chunks.push(chunk)
    length += chunk.length
    // Whoever sends byte by byte has each of them looked at once, not all of them every time.
    if (length < wanted) return undefined
    const bytes = Buffer.concat(chunks)
    chunks = [bytes]
    const hello = readClientHello(bytes, progress)
    if (hello.kind === 'hello') return { bytes, name: hello.name, alpn: hello.alpn, fault: undefined }
    if (hello.kind === 'invalid') return { bytes, name: undefined, alpn: [], fault: hello.reason }
    wanted = hello.bytes
    return undefined
  }
}
