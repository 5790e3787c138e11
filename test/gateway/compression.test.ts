/** nginx as an origin: it compresses for whoever does not say that they are a proxy. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from '@jest/globals'
import { onCleanUp } from '../support/cleanup.ts'
import { startLayers } from '../support/layers.ts'
import { head } from '../support/message.ts'
import { programPath, testWith } from '../support/needs.ts'
import { freePort } from '../support/ports.ts'
import { startProcess } from '../support/process.ts'
import { rawRequest } from '../support/raw-client.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

testWith(['nginx'], 'nginx compresses for the gateway, unless it is told of it', async () => {
  const [folder, port] = [tempDir(), await freePort()]
  writeFileSync(join(folder, 'x.html'), 'hello world '.repeat(4_000))
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(name => `${name}_temp_path ${folder}/${name};`).join(' ')
  const site = `types { text/html html; } gzip on; server { listen 127.0.0.1:${port}; root ${folder}; }`
  const frame = `daemon off; master_process off; pid ${folder}/pid; error_log stderr warn; events {} http { access_log off; ${temp} ${site} }`
  writeFileSync(join(folder, 'nginx.conf'), frame)
  const nginx = startProcess(['-e', 'stderr', '-c', join(folder, 'nginx.conf')], { program: programPath('nginx')! })
  onCleanUp(() => nginx.stop())
  const target = `{ protocol: http, hostname: 127.0.0.1, port: ${port}`
  const told = await startLayers({ targets: `targets: { a.test: ${target} }, via.test: ${target}, via: true } }` })
  const ask = async (host: string): Promise<string> =>
    (await rawRequest(told.port, head('GET /x.html HTTP/1.1', `Host: ${host}`, 'Accept-Encoding: gzip', 'Connection: close'))).text
  await until(async () => (await ask('a.test')).startsWith('HTTP/1.1 200 '), { what: 'nginx' })
  expect(await ask('a.test')).toMatch(/^content-encoding: gzip\r$/im)
  expect(await ask('via.test')).not.toMatch(/^content-encoding:/im)
})
