/** scenario/ is run here without Docker: its own commands, with the names of the containers led to 127.0.0.1. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { load } from 'js-yaml'
import { freePort } from '../support/ports.ts'
import { ROOT, startProcess, type RunningProcess } from '../support/process.ts'
import { tempDir } from '../support/temp.ts'
import { until } from '../support/wait.ts'

interface Service {
  readonly command?: readonly string[]
  readonly entrypoint?: readonly string[]
  readonly networks?: readonly string[] | Readonly<Record<string, unknown>>
  readonly volumes?: readonly string[]
  readonly stop_grace_period?: string
}

const read = (name: string): string => readFileSync(join(ROOT, 'scenario', name), 'utf8')
const compose = load(read('docker-compose.yaml')) as {
  readonly services: Readonly<Record<'certificates' | 'outer-layer' | 'inner-layer' | 'server' | 'client', Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>
}
const { services } = compose
const networksOf = ({ networks = [] }: Service): string[] => (Array.isArray(networks) ? [...(networks as string[])] : Object.keys(networks))
const shared = (one: Service, other: Service): string[] => networksOf(one).filter(network => networksOf(other).includes(network))

describe('the scenario', () => {
  test('has three networks, and client and server share none', () => {
    expect(Object.keys(compose.networks)).toHaveLength(3)
    expect(compose.networks['private']).toEqual({ internal: true })
    expect(networksOf(services.server)).toEqual(['private'])
    expect(shared(services.client, services.server)).toEqual([])
    expect(shared(services.client, services['inner-layer'])).toEqual([])
    expect(shared(services['outer-layer'], services.server)).toEqual([])
  })

  test('keeps the private key from everyone but the inner layer', () => {
    const readers = Object.entries(services).filter(([, { volumes = [] }]) => volumes.some(volume => volume.startsWith('private-key:')))
    expect(readers.map(([name]) => name)).toEqual(['certificates', 'inner-layer'])
  })

  test('sees a change of the targets file, and lets requests finish', () => {
    expect(services['outer-layer'].volumes).toContain('.:/scenario:ro')
    for (const name of ['outer-layer', 'inner-layer'] as const) expect(services[name].stop_grace_period).toBe('40s')
  })

  test('is drawn: every box of the source is in the picture', () => {
    const svg = read('scenario.svg')
    for (const box of ['client', 'router 1', 'Internet', 'router 3', 'outer layer', 'router 2', 'inner layer', 'server']) {
      expect(read('scenario.dot')).toContain(box)
      expect(svg).toContain(box)
    }
  })

  test('answers as its README says', async () => {
    const folder = tempDir()
    const [appPort, socketPort, serverPort] = [await freePort(), await freePort(), await freePort()]
    /** The words of a command, with what the containers call each other and their paths led to this machine. */
    const lead = (text: string): string =>
      text
        .replace(/\/(private|public)\/(?=innerLayer)/g, `${folder}/`)
        .replace('/scenario/targets.yaml', `${folder}/targets.yaml`)
        .replace(/\b(server|outer-layer):(?=\d)/g, '127.0.0.1:')
        .replace(/\b(3000|3001|8080)\b/g, port => String({ '3000': appPort, '3001': socketPort, '8080': serverPort }[port]))
    const start = ({ command = [] }: Service): RunningProcess => startProcess(command.map(lead))
    writeFileSync(
      join(folder, 'targets.yaml'),
      lead(read('targets.yaml')).replace('hostname: server', 'hostname: 127.0.0.1').replace('api.example.com:', '127.0.0.1:'),
    )

    // What stands between `||` and `;` of the one-shot service.
    const minting = /socket-gateway (certificates [^;]+);/.exec(services.certificates.command![0]!)![1]!
    expect(await startProcess(lead(minting).trim().split(/\s+/)).exit).toEqual({ code: 0, signal: null })
    startProcess(services.server.command!.slice(1).map(lead), { program: process.execPath })
    const layers = [start(services['outer-layer']), start(services['inner-layer'])]

    const ask = async (method: string, path: string): Promise<{ code: number | null; stdout: string }> => {
      const asking = startProcess([...services.client.entrypoint!.slice(1), method, `http://127.0.0.1:${appPort}${path}`], {
        program: process.execPath,
      })
      const { code } = await asking.exit
      return { code, stdout: asking.stdout }
    }
    const isReady = async (): Promise<boolean> => (await ask('GET', '/hello')).stdout.startsWith('200')
    await until(isReady, { what: 'the scenario to answer' }).catch((error: unknown) => {
      throw new Error(layers.map(layer => layer.output).join('\n'), { cause: error })
    })
    expect((await ask('POST', '/items')).stdout).toContain('"path": "/items"')
    expect((await ask('DELETE', '/items/1')).stdout).toMatch(/^403 /)
  })
})
