/** What README.md and docs/deployment.md say about TLS without a proxy in front, run with other ports and paths. */
import { chmodSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { programPath, testWith } from '../support/needs.ts'
import { freePort, listen } from '../support/ports.ts'
import { runProcess, startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { blockWith, readPage, sectionOf } from './markdown.ts'

const DEPLOYMENT = readPage('docs/deployment.md')

/** The words of each line of a block, without `socket-gateway` and comments. */
const linesOf = (block: string): string[][] =>
  block
    .trim()
    .split('\n')
    .map(line =>
      line
        .replace(/ {2,}#.*$/, '')
        .replace(/^socket-gateway /, '')
        .split(' '),
    )

const startOrigin = async (): Promise<{ port: number; targets: string }> => {
  const port = await listen(createServer((req, res) => res.end(`hello from ${req.url!} by ${String(req.headers['x-forwarded-proto'])}\n`)))
  return { port, targets: `targets: { localhost: { protocol: http, hostname: 127.0.0.1, port: ${port} } }\n` }
}

const curl = async (cwd: string, ...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await runProcess(['-sS', '--noproxy', '*', ...args], { program: programPath('curl')!, cwd })
  if (code !== 0) throw new Error(`curl ${args.join(' ')}: ${stderr}`)
  return stdout
}

const certify = async (cwd: string, ...args: string[]): Promise<void> => {
  expect(await runProcess(['certificates', '--type', 'ec', ...args], { cwd })).toMatchObject({ code: 0 })
}

const startLayer = async (args: readonly string[], cwd: string, line: RegExp): Promise<RunningProcess> => {
  const running = startProcess(args, { cwd })
  await running.waitForLine(line)
  return running
}

describe('README.md', () => {
  testWith(['curl'], 'serves HTTPS by its lines, and curl believes it', async () => {
    const folder = tempDir()
    const { targets } = await startOrigin()
    writeFileSync(join(folder, 'targets.yaml'), targets)
    await certify(folder)
    const [mint, outer, ask] = linesOf(blockWith(sectionOf(readPage('README.md'), 'Quick start'), 'sh', '--self-signed'))
    expect(await runProcess(mint!, { cwd: folder })).toMatchObject({ code: 0 })
    const [port, socket] = [await freePort(), await freePort()]
    await startLayer(
      [...outer!, '--app-port', `${port}`, '--socket-port', `${socket}`, '--admin-port', '0'],
      folder,
      /outer layer ready.*\(https\)/,
    )
    const inner = ['inner-layer', '--private-key', 'innerLayer.key', '--outer-layer', `ws://localhost:${socket}`]
    await startLayer(inner, folder, /connected to ws:/)
    expect(await curl(folder, ...ask!.slice(1).map(word => word.replace('3000', String(port))))).toBe('hello from / by https\n')
  })
})

describe('README.md on two machines', () => {
  testWith(['curl'], 'goes by its lines, with two folders for the machines', async () => {
    const origin = await listen(createServer((req, res) => res.end(`hello from ${req.url!}\n`)))
    const [app, socket] = [await freePort(), await freePort()]
    const machines = { 'the private machine': tempDir(), 'the gateway': tempDir(), anywhere: '' }
    machines.anywhere = machines['the private machine']
    const lead = (line: string): string =>
      line
        .replace('"hostname":"my.private.api","port":443', `"protocol":"http","hostname":"127.0.0.1","port":${origin}`)
        .replace('my.private.api:443', `127.0.0.1:${origin}`)
        .replace('--app-port 443', `--app-port ${app}`)
        .replaceAll('3001', `${socket}`)
        .replace('https://gw.example.com', `https://localhost:${app}`)
        .replace(/^scp gw\.example\.com:(\S+) \.$/, `cp ${machines['the gateway']}/$1 .`)
        .replace(/^scp (\S+) gw\.example\.com:$/, `cp $1 ${machines['the gateway']}/`)
        .replaceAll('gw.example.com', 'localhost')
    let cwd = ''
    let answer = ''
    const block = blockWith(sectionOf(DEPLOYMENT, 'Two machines, by hand'), 'sh', 'scp')
    for (const line of block.trim().split(/\n */)) {
      if (line.startsWith('# ')) cwd = machines[line.replace(/^# (?:on )?/, '') as keyof typeof machines]
      else if (/^socket-gateway \w+-layer/.test(line)) {
        const isOuter = line.includes('outer-layer --public-key')
        await startLayer(lead(line).split(' ').slice(1), cwd, isOuter ? /outer layer ready.*\(https\)/ : /connected to wss:/)
      } else if (line.startsWith('socket-gateway'))
        expect(await runProcess(lead(line).split(' ').slice(1), { cwd })).toMatchObject({ code: 0 })
      else if (line.startsWith('curl')) answer = await curl(cwd, ...lead(line).split(' ').slice(1))
      else expect(await runProcess(['-c', lead(line)], { program: '/bin/sh', cwd })).toMatchObject({ code: 0 })
    }
    expect(answer).toBe('hello from /\n')
  })
})

describe('docs/deployment.md', () => {
  testWith(['curl'], 'serves clients and inner layers by TLS with its configuration, and asks inner layers for certificates', async () => {
    const folder = tempDir()
    const { port: origin, targets } = await startOrigin()
    const [app, http, socket] = [await freePort(), await freePort(), await freePort()]
    writeFileSync(join(folder, 'targets.yaml'), targets)
    for (const name of ['keys', 'tls']) mkdirSync(join(folder, name))
    const lead = (text: string): string => text.replaceAll('/etc/socket-gateway/', `${folder}/`)
    const section = sectionOf(DEPLOYMENT, 'Without a proxy in front')
    const outerFile = lead(blockWith(section, 'yaml', 'app-http-port'))
      .replace('app-port: 443', `app-port: ${app}`)
      .replace('app-http-port: 80', `app-http-port: ${http}`)
      .replace('socket-port: 3001', `socket-port: ${socket}`)
      .replace('link.example.com:3001', `localhost:${socket}`)
    writeFileSync(join(folder, 'outer.yaml'), `${outerFile}admin-port: 0\n`)
    const innerFile = lead(blockWith(DEPLOYMENT, 'yaml', 'private-key: /etc'))
      .replace('wss://link.example.com', `wss://localhost:${socket}`)
      .replace('my.private.api:443', `127.0.0.1:${origin}`)
    writeFileSync(join(folder, 'inner.yaml'), `${innerFile}outer-layer-ca: ${folder}/ca.crt\n`)

    const [ca, client, outer, inner] = linesOf(lead(blockWith(section, 'sh', '--socket-client-ca')))
    await certify(folder, ...ca!.slice(1))
    await certify(folder, ...client!.slice(1))
    renameSync(join(folder, 'innerLayer.crt'), join(folder, 'keys/lan-a.crt'))
    await certify(folder, '--server', 'localhost', '--signed-by', 'ca.crt', '--private-key', 'tls/api.key', '--certificate', 'tls/api.crt')

    await startLayer(outer!, folder, /outer layer ready.*\(https\), redirects on port \d+, inner layers on port \d+ \(wss\)/)
    const without = startProcess(inner!.slice(0, -2), { cwd: folder })
    await without.waitForLine(/asks for a client certificate of its authorities/)
    await without.stop()
    await startLayer([...inner!.slice(0, -1), 'keys/lan-a.crt'], folder, /connected to wss:/)

    const answer = await curl(folder, '--cacert', 'ca.crt', '-i', '--http1.1', `https://localhost:${app}/x?y`)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).toMatch(/^Strict-Transport-Security: max-age=31536000\r$/m)
    expect(answer).toMatch(/hello from \/x\?y by https/)
    const followed = await curl(folder, '--cacert', 'ca.crt', '-L', '-w', '%{num_redirects}', `http://localhost:${http}/x`)
    expect(followed).toBe('hello from /x by https\n1')
  })

  test('hands certificates over by a script that a shell understands', async () => {
    const script = join(tempDir(), 'hook')
    writeFileSync(script, blockWith(sectionOf(DEPLOYMENT, 'Without a proxy in front'), 'sh', 'RENEWED_LINEAGE'))
    chmodSync(script, 0o755)
    expect(await runProcess(['-n', script], { program: '/bin/sh' })).toMatchObject({ code: 0 })
  })
})
