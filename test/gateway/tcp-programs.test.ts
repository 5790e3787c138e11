import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect } from '@jest/globals'
import { CertificateStore } from '../../src/tls/certificate-store.ts'
import { mintAuthority, mintServer, writePair, type PairFiles } from '../support/certificates.ts'
import { freePort } from '../support/ports.ts'
import { POSTGRES_PROGRAMS, startPostgres } from '../support/postgres.ts'
import type { RunningProcess } from '../support/process.ts'
import { REDIS_PROGRAMS, startRedis } from '../support/redis.ts'
import { SSH_PROGRAMS, startSshd, startTool } from '../support/sshd.ts'
import { startLayers, type Layers } from '../support/layers.ts'
import { programPath, testWith } from '../support/needs.ts'
import { tcpSection, toOrigin } from '../support/tcp-layers.ts'
import { tempDir, tempFile } from '../support/temp.ts'
import { until } from '../support/wait.ts'

const NAME = 'localhost'

let files: PairFiles
let caFile: string

beforeAll(async () => {
  const authority = await mintAuthority()
  files = writePair(await mintServer([NAME], authority))
  caFile = tempFile('ca.crt', authority.certificatePem)
})

interface Ports {
  readonly layers: Layers
  /** Plain, ended TLS. */
  readonly plain: number
  readonly tls: number
}

const startPorts = async (origin: number): Promise<Ports> => {
  const [plain, tls] = [await freePort(), await freePort()]
  const layers = await startLayers({
    targets: tcpSection({ [plain]: toOrigin(origin), [tls]: toOrigin(origin, 'tls: true') }),
    outer: { tcpCertificates: () => new CertificateStore({ certificates: [files.certificate], keys: [files.key] }) },
  })
  return { layers, plain, tls }
}

const succeed = async (running: RunningProcess): Promise<string> => {
  const { code } = await running.exit
  if (code !== 0) throw new Error(`ended with ${String(code)}:\n${running.output}`)
  return running.stdout
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

describe('OpenSSH', () => {
  testWith([...SSH_PROGRAMS, 'openssl'], 'scp of 50 MB while a shell answers, through a plain and a TLS port', async () => {
    const sshd = await startSshd()
    const { layers, plain, tls } = await startPorts(sshd.port)
    const s_client = `${programPath('openssl')!} s_client -quiet -verify_quiet -verify_return_error -CAfile ${caFile} -connect 127.0.0.1:${tls} -servername ${NAME}`
    const bytes = randomBytes(50_000_000)
    const source = tempFile('source.bin', bytes)
    for (const through of [
      ['-o', `Port=${plain}`],
      ['-o', `ProxyCommand=${s_client}`],
    ]) {
      const target = join(tempDir(), 'target.bin')
      const copy = startTool('scp', [...sshd.options, ...through, source, `${sshd.account}:${target}`])
      const shell = startTool('ssh', [...sshd.options, ...through, sshd.account, 'echo one; sleep 0.2; echo two; exit 7'])
      expect(await shell.exit).toMatchObject({ code: 7 })
      expect(shell.stdout).toBe('one\ntwo\n')
      await succeed(copy)
      expect(digest(readFileSync(target))).toBe(digest(bytes))
      const back = join(tempDir(), 'back.bin')
      await succeed(startTool('scp', [...sshd.options, ...through, `${sshd.account}:${source}`, back]))
      expect(digest(readFileSync(back))).toBe(digest(bytes))
    }
    await until(() => layers.outer.tcpConnections === 0 && layers.inner.streamCount === 0)
  })
})

describe('PostgreSQL', () => {
  testWith(POSTGRES_PROGRAMS, 'psql, through a plain port and with sslmode=verify-full', async () => {
    const { layers, plain, tls } = await startPorts(await startPostgres())
    const psql = (settings: string, ...args: string[]): RunningProcess =>
      startTool(
        'psql',
        ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...args, `${settings} user=postgres dbname=postgres connect_timeout=10`],
        {
          PGPASSFILE: '/dev/null',
        },
      )
    const through = {
      plain: `host=127.0.0.1 port=${plain} sslmode=disable`,
      tls: `host=${NAME} hostaddr=127.0.0.1 port=${tls} sslmode=verify-full sslrootcert=${caFile}`,
    }
    await succeed(psql(through.plain, '-c', 'create table numbers (n int)', '-c', 'insert into numbers select generate_series(1, 200000)'))
    for (const settings of Object.values(through)) {
      expect(await succeed(psql(settings, '-c', 'select count(*), sum(n) from numbers'))).toBe('200000|20000100000\n')
      const all = await succeed(psql(settings, '-c', 'copy numbers to stdout'))
      expect(all.split('\n')).toHaveLength(200_001)
      const script = tempFile(
        'data.sql',
        `copy numbers from stdin;\n${all}\\.\ntruncate numbers;\ninsert into numbers select generate_series(1, 200000);\n`,
      )
      await succeed(psql(settings, '-f', script))
    }
    const failed = psql(through.tls, '-c', 'select 1/0')
    expect(await failed.exit).toMatchObject({ code: 1 })
    expect(failed.stderr).toContain('division by zero')
    await until(() => layers.outer.tcpConnections === 0 && layers.inner.streamCount === 0)
  })
})

describe('Redis', () => {
  testWith(REDIS_PROGRAMS, 'redis-cli, through a plain port and with --tls', async () => {
    const { layers, plain, tls } = await startPorts(await startRedis())
    const big = randomBytes(4_000_000)
    const bigFile = tempFile('big.bin', big)
    const ways = [
      ['-h', '127.0.0.1', '-p', String(plain)],
      ['-h', '127.0.0.1', '-p', String(tls), '--tls', '--sni', NAME, '--cacert', caFile],
    ]
    for (const way of ways) {
      const cli = (...args: string[]): Promise<string> => succeed(startTool('redis-cli', [...way, ...args]))
      expect(await cli('set', 'greeting', 'hello')).toBe('OK\n')
      expect(await cli('get', 'greeting')).toBe('hello\n')
      expect(
        await cli(
          'eval',
          'for i = 1, 1000 do redis.call("rpush", KEYS[1], i) end return redis.call("llen", KEYS[1])',
          '1',
          `list:${way.length}`,
        ),
      ).toBe('1000\n')
      expect((await cli('lrange', `list:${way.length}`, '0', '-1')).trim().split('\n')).toHaveLength(1_000)
      writeFileSync(bigFile, big.toString('hex'))
      expect(await succeed(startTool('sh', ['-c', `${programPath('redis-cli')!} ${way.join(' ')} -x set big < ${bigFile}`]))).toBe('OK\n')
      expect((await cli('get', 'big')).trim() === big.toString('hex')).toBe(true)
      // A subscriber waits and is told.
      const subscriber = startTool('redis-cli', [...way, 'subscribe', 'news'])
      await subscriber.waitForLine(/subscribe\nnews\n1/)
      await until(async () => (await cli('publish', 'news', 'flash')) === '1\n')
      await subscriber.waitForLine(/flash/)
      await subscriber.stop('SIGINT')
    }
    await until(() => layers.outer.tcpConnections === 0 && layers.inner.streamCount === 0)
  })
})
