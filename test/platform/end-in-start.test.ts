/** The service process whose outer layer dies while it starts. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { ServiceProcess } from '../../src/platform/service-process.ts'
import type { ServiceConfig } from '../../src/service/config.ts'
import { openStore } from '../../src/store/store.ts'
import { captureLog } from '../support/layers.ts'
import { TEST_CONFIG } from '../support/service.ts'
import { tempDir } from '../support/temp.ts'

test('nothing stays open where the outer layer has gone in the middle of the start: the next one finds its database free', async () => {
  const directory = tempDir()
  const store = { url: `sqlite:${join(directory, 'service.db')}`, directory }
  const config: ServiceConfig = {
    ...TEST_CONFIG,
    stateDirectory: directory,
    mail: { kind: 'outbox', directory: 'outbox', from: 'gateway@example.com' },
  }
  let gone = (): void => undefined
  const process = new ServiceProcess({
    config: () => config,
    store,
    secretsKey: randomBytes(32),
    facts: { appScheme: 'http', linkUrls: [], showsLetters: false },
    host: { send: () => undefined, onMessage: () => undefined, onEnd: listener => (gone = listener) },
    log: captureLog().log,
  })
  const started = process.start()
  gone()
  await Promise.all([started, process.ended])
  const next = await openStore(store)
  expect(next.isHealthy()).toBe(true)
  await next.close()
})
