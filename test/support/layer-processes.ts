/** The two layers as processes that share a key and a targets file, of which every host leads to one origin. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { testKeyPair } from './layers.ts'
import { PROGRAM, startProcess, type RunningProcess } from './process.ts'
import { tempDir } from './temp.ts'
import { until } from './wait.ts'

/** An outer layer that is ready. */
export interface OuterProcess {
  readonly process: RunningProcess
  readonly port: number
  readonly socketPort: number
}

/** How an outer layer is started. */
export interface OuterProcessOptions {
  /** 0 picks a free one. */
  readonly socketPort?: number
  /** Most file descriptors of the process; undefined: as many as this one may have. */
  readonly openFiles?: number
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** Key, targets, and what starts a layer with them. */
export interface LayerProcesses {
  readonly directory: string
  startOuter(options?: OuterProcessOptions): Promise<OuterProcess>
  /** Resolves when both of its connections to each of `outers` are up. */
  startInner(identifier: string, outers: readonly OuterProcess[], options?: InnerProcessOptions): Promise<RunningProcess>
}

/** How an inner layer is started. */
export interface InnerProcessOptions {
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Most file descriptors of the process; undefined: as many as this one may have. */
  readonly openFiles?: number
}

/** @param originPort  of 127.0.0.1 */
export const createLayerProcesses = async (originPort: number): Promise<LayerProcesses> => {
  const directory = tempDir()
  const pair = await testKeyPair()
  writeFileSync(join(directory, 'key.pem'), pair.privateKeyPem, { mode: 0o600 })
  writeFileSync(join(directory, 'crt.pem'), pair.certificatePem)
  writeFileSync(join(directory, 'targets.yaml'), `targets:\n  "*": {protocol: http, hostname: 127.0.0.1, port: ${originPort}}\n`)

  const run = (args: readonly string[], openFiles: number | undefined, env: Readonly<Record<string, string>> = {}): RunningProcess =>
    openFiles === undefined
      ? startProcess(args, { env })
      : startProcess(['-c', `ulimit -n ${openFiles}; exec "$@"`, 'sh', process.execPath, PROGRAM, ...args], { program: '/bin/sh', env })

  return {
    directory,
    startOuter: async ({ socketPort = 0, openFiles, args = [], env } = {}) => {
      const files = ['--public-key', join(directory, 'crt.pem'), '--targets', join(directory, 'targets.yaml')]
      const ports = ['--app-port', '0', '--socket-port', String(socketPort)]
      // On a busy machine an inner layer needs more than the second that its proof has by default, and is refused.
      const validity = args.includes('--validity') ? [] : ['--validity', '30000']
      const started = run(['outer-layer', ...files, ...ports, ...validity, '--log-format', 'json', ...args], openFiles, env)
      const [, port, socket] = await started.waitForLine(/"appPort":(\d+),"socketPort":(\d+)/)
      return { process: started, port: Number(port), socketPort: Number(socket) }
    },
    startInner: async (identifier, outers, { args = [], env, openFiles } = {}) => {
      const urls = outers.flatMap(({ socketPort }) => ['--outer-layer', `ws://localhost:${socketPort}`])
      const key = ['--private-key', join(directory, 'key.pem')]
      const inner = run(['inner-layer', ...key, ...urls, '--identifier', identifier, '--log-format', 'json', ...args], openFiles, env)
      for (const { process: outer } of outers) {
        const what = `both connections of ${identifier}`
        await until(() => outer.output.split(`"${identifier}\\" connected`).length > 2, { what })
      }
      return inner
    },
  }
}
