/** A security token of software: an agent of ssh that signs as a FIDO2 token does (PROTOCOL.u2f of OpenSSH). */
import { createHash, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { sshMpint, sshString, sshUint32 } from '../../src/service/ssh-keys/wire.ts'
import { onCleanUp } from './cleanup.ts'
import type { KeyFile } from './ssh-door.ts'
import { tempDir } from './temp.ts'

/** A key on the token, and the agent that has it. */
export interface TokenKey extends KeyFile {
  readonly blob: Buffer
  /** Of the agent. */
  readonly socketPath: string
  /** Signs in place of the agent. */
  readonly sign: (data: Buffer) => Buffer
  /** A certificate that the agent has instead of the bare key. */
  certificate: Buffer | undefined
}

const sha256 = (bytes: Buffer): Buffer => createHash('sha256').update(bytes).digest()

/** @param isTouched  false: it signs without anybody at it, as some can be told to */
export const tokenKey = async (type: 'ed25519' | 'ecdsa', { isTouched = true, application = 'ssh:' } = {}): Promise<TokenKey> => {
  const pair = type === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { x, y } = createPublicKey(pair.privateKey).export({ format: 'jwk' })
  const bytes = (text = ''): Buffer => Buffer.from(text, 'base64url')
  const algorithm = type === 'ed25519' ? 'sk-ssh-ed25519@openssh.com' : 'sk-ecdsa-sha2-nistp256@openssh.com'
  const fields = type === 'ed25519' ? [bytes(x)] : [Buffer.from('nistp256'), Buffer.concat([Buffer.of(4), bytes(x), bytes(y)])]
  const blob = Buffer.concat([algorithm, ...fields, application].map(sshString))
  let counter = 7
  const signed = (data: Buffer): Buffer => {
    const said = Buffer.concat([Buffer.of(isTouched ? 1 : 0), sshUint32(counter++)])
    const whole = Buffer.concat([sha256(Buffer.from(application)), said, sha256(data)])
    if (type === 'ed25519') return Buffer.concat([sshString(algorithm), sshString(sign(null, whole, pair.privateKey)), said])
    const numbers = sign('sha256', whole, { key: pair.privateKey, dsaEncoding: 'ieee-p1363' })
    const inner = Buffer.concat([sshMpint(numbers.subarray(0, 32)), sshMpint(numbers.subarray(32))])
    return Buffer.concat([sshString(algorithm), sshString(inner), said])
  }
  const folder = tempDir()
  const path = join(folder, 'token')
  const line = `${algorithm} ${blob.toString('base64')} on a token`
  writeFileSync(path, '', { mode: 0o600 })
  writeFileSync(`${path}.pub`, `${line}\n`)
  const token: TokenKey = { path, line, blob, socketPath: join(folder, 'agent'), sign: signed, certificate: undefined }
  await startAgent(token)
  return token
}

/** Answers of an agent (draft-miller-ssh-agent): identities, a signature, or that it cannot. */
function answer(token: TokenKey, message: Buffer): Buffer {
  const [asksIdentities, asksSignature] = [message[0] === 11, message[0] === 13]
  if (asksIdentities)
    return Buffer.concat([Buffer.of(12), sshUint32(1), sshString(token.certificate ?? token.blob), sshString('on a token')])
  if (!asksSignature) return Buffer.of(5)
  const keyEnd = 5 + message.readUInt32BE(1)
  const data = message.subarray(keyEnd + 4, keyEnd + 4 + message.readUInt32BE(keyEnd))
  return Buffer.concat([Buffer.of(14), sshString(token.sign(data))])
}

async function startAgent(token: TokenKey): Promise<void> {
  const open = new Set<Socket>()
  const server = createServer(socket => {
    open.add(socket)
    let waiting = Buffer.alloc(0)
    socket.on('error', () => undefined)
    socket.on('data', (bytes: Buffer) => {
      waiting = Buffer.concat([waiting, bytes])
      while (waiting.length >= 4 && waiting.length >= 4 + waiting.readUInt32BE(0)) {
        const message = waiting.subarray(4, 4 + waiting.readUInt32BE(0))
        waiting = waiting.subarray(4 + message.length)
        socket.write(sshString(answer(token, message)))
      }
    })
  })
  await new Promise<void>(resolve => void server.listen(token.socketPath, resolve))
  onCleanUp(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
}
