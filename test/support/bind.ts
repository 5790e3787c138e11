/** BIND with a zone example.com in which every name is this machine, and which takes signed updates. */
import { randomBytes } from 'node:crypto'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onCleanUp } from './cleanup.ts'
import { programPath } from './needs.ts'
import { freePort } from './ports.ts'
import { startProcess } from './process.ts'
import { tempDir } from './temp.ts'

export interface Bind {
  readonly port: number
  /** As tsig-keygen writes it, and the secret in it. */
  readonly keyFile: string
  readonly secret: string
}

/** Starts it; ended after the test file. */
export const startBind = async (): Promise<Bind> => {
  const [folder, port] = [tempDir(), await freePort()]
  const secret = randomBytes(32).toString('base64')
  const key = `key "gateway" {\n\talgorithm hmac-sha256;\n\tsecret "${secret}";\n};\n`
  const keyFile = join(folder, 'gateway.key')
  writeFileSync(keyFile, key)
  chmodSync(keyFile, 0o600)
  const zone = join(folder, 'example.com.zone')
  writeFileSync(zone, '$TTL 60\n@ IN SOA ns admin 1 60 60 60 60\n@ IN NS ns\n@ IN A 127.0.0.1\nns IN A 127.0.0.1\n* IN A 127.0.0.1\n')
  const config = join(folder, 'named.conf')
  writeFileSync(
    config,
    `options {
  directory "${folder}";
  listen-on port ${port} { 127.0.0.1; };
  listen-on-v6 { none; };
  pid-file "${folder}/named.pid";
  session-keyfile "${folder}/session.key";
  recursion no;
  dnssec-validation no;
  notify no;
};
controls { };
${key}
zone "example.com" { type primary; file "${zone}"; allow-update { key "gateway"; }; };
`,
  )
  const server = startProcess(['-g', '-c', config], { program: programPath('named')! })
  onCleanUp(() => server.stop())
  await server.waitForLine(/all zones loaded[\s\S]*running/)
  return { port, keyFile, secret }
}
