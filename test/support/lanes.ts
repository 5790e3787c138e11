/** Layers whose targets ask who comes, with the files of visitors as an operator has them; nobody logs in. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startVisitors } from '../../src/cli/visitors/start-visitors.ts'
import { createKeyText } from '../../src/visitors/session/key-ring.ts'
import { onCleanUp } from './cleanup.ts'
import { captureLog, startLayers, type Layers, type LayersOptions, type LogRecord } from './layers.ts'
import { RawConnection, type RawResponse } from './raw-client.ts'
import { rawResponse, startRawOrigin, type RawOrigin } from './raw-origin.ts'
import { tempDir } from './temp.ts'

/** Layers with lanes. */
export interface LaneLayers {
  readonly layers: Layers
  readonly origin: RawOrigin
  /** Of visitors; what commands keep is beside it. */
  readonly file: string
  readonly logs: readonly LogRecord[]
  ask(host: string, target: string, lines?: readonly string[], method?: string): Promise<RawResponse>
}

/** Writes the files of visitors. @param more  of the first: keys as YAML. @returns the path of the first */
export function writeVisitorsFiles(directory = tempDir(), more = ''): string {
  const file = join(directory, 'visitors.yaml')
  writeFileSync(file, `auth: https://auth.example.test\n${more}`)
  writeFileSync(join(directory, 'visitors.key'), createKeyText(Date.now()))
  chmodSync(join(directory, 'visitors.key'), 0o600)
  return file
}

/** @param targets  with `{port}` for that of the origin */
export async function startLaneLayers(
  targets: string,
  { file = writeVisitorsFiles(), ...options }: { readonly file?: string; readonly outer?: LayersOptions['outer'] } = {},
): Promise<LaneLayers> {
  const origin = await startRawOrigin()
  origin.handle((_, socket) => void socket.write(rawResponse(200, 'ok')))
  const { log, records } = captureLog()
  const visitors = await startVisitors({ file }, log)
  onCleanUp(() => visitors.close())
  const layers = await startLayers({ origin: origin.port, targets, outer: { ...options.outer, visitors: visitors.check } })
  const ask: LaneLayers['ask'] = async (host, target, lines = [], method = 'GET') => {
    const client = await RawConnection.open(layers.port)
    client.write([`${method} ${target} HTTP/1.1`, `Host: ${host}`, ...lines, '', ''].join('\r\n'))
    const response = await client.readResponse(method)
    client.destroy()
    return response
  }
  return { layers, origin, file, logs: records, ask }
}
