/** Pebble, the authority of Let's Encrypt for tests, with a DNS in which every name is this machine. */
import { request } from 'node:https'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onCleanUp } from './cleanup.ts'
import { mintAuthority, mintServer, writePair } from './certificates.ts'
import { programPath } from './needs.ts'
import { freePort } from './ports.ts'
import { startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'

/** Programs that tests with it need. */
export const PEBBLE_PROGRAMS = ['pebble', 'pebble-challtestsrv'] as const

/** What differs from an authority that does what it is asked. */
export interface PebbleOptions {
  /** Ports of the gateway at which it asks; free ones when they are not given. */
  readonly httpPort?: number
  readonly tlsPort?: number
  /** Per cent of good nonces that it does not take. Default 0. */
  readonly nonceReject?: number
  /** Accounts that may be bound, by their kid; given, only those may be made. */
  readonly bindings?: Readonly<Record<string, string>>
  /** Its DNS server instead of the one in which every name is 127.0.0.1. */
  readonly dnsServer?: string
}

export interface Pebble {
  readonly directory: string
  /** PEM and file of the authority for its own TLS. */
  readonly ca: string
  readonly caFile: string
  readonly httpPort: number
  readonly tlsPort: number
  readonly process: RunningProcess
  /** PEM of the authority that signs what is ordered. */
  root(): Promise<string>
  /** URL at which TXT records are set. */
  readonly dnsManagement: string
}

/** Starts it; ended after the test file. */
export const startPebble = async ({ nonceReject = 0, bindings, ...options }: PebbleOptions = {}): Promise<Pebble> => {
  const authority = await mintAuthority()
  const files = writePair(await mintServer(['localhost', '127.0.0.1'], authority))
  const folder = tempDir()
  const caFile = join(folder, 'authority.crt')
  writeFileSync(caFile, authority.certificatePem)
  const [port, management, dns, dnsManagement] = await Promise.all([freePort(), freePort(), freePort(), freePort()])
  const [httpPort, tlsPort] = [options.httpPort ?? (await freePort()), options.tlsPort ?? (await freePort())]
  if (options.dnsServer === undefined) {
    const args = ['-defaultIPv6', '', '-dns01', `127.0.0.1:${dns}`, '-http01', '', '-https01', '', '-tlsalpn01', '']
    const names = startProcess([...args, '-management', `127.0.0.1:${dnsManagement}`], { program: programPath('pebble-challtestsrv')! })
    onCleanUp(() => names.stop())
    await names.waitForLine(/Starting management server/)
  }
  const config = join(folder, 'pebble.json')
  writeFileSync(
    config,
    JSON.stringify({
      pebble: {
        listenAddress: `127.0.0.1:${port}`,
        managementListenAddress: `127.0.0.1:${management}`,
        certificate: files.certificate,
        privateKey: files.key,
        httpPort,
        tlsPort,
        ocspResponderURL: '',
        externalAccountBindingRequired: bindings !== undefined,
        ...(bindings !== undefined && { externalAccountMACKeys: bindings }),
      },
    }),
  )
  const process = startProcess(['-config', config, '-dnsserver', options.dnsServer ?? `127.0.0.1:${dns}`], {
    program: programPath('pebble')!,
    env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: String(nonceReject) },
  })
  onCleanUp(() => process.stop())
  await process.waitForLine(/ACME directory available at/)
  return {
    directory: `https://127.0.0.1:${port}/dir`,
    ca: authority.certificatePem,
    caFile,
    httpPort,
    tlsPort,
    process,
    root: () => get(`https://127.0.0.1:${management}/roots/0`, authority.certificatePem),
    dnsManagement: `http://127.0.0.1:${dnsManagement}`,
  }
}

const get = (url: string, ca: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const sent = request(url, { ca, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve(text))
    })
    sent.on('error', reject)
    sent.end()
  })

/** A program for --acme-dns-hook that sets records there; `log` gets a line for each call. */
export const dnsHookScript = (management: string, log: string): string => `#!/bin/sh
set -eu
echo "$ACME_ACTION $ACME_RECORD" >> '${log}'
case "$ACME_ACTION" in
  add) exec curl -sf -d "{\\"host\\":\\"$ACME_RECORD.\\",\\"value\\":\\"$ACME_VALUE\\"}" ${management}/set-txt ;;
  remove) exec curl -sf -d "{\\"host\\":\\"$ACME_RECORD.\\"}" ${management}/clear-txt ;;
esac
`
