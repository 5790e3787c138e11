import { Engine, parseEngine } from '../../discovery/docker/engine.ts'
import { readContainers } from '../../discovery/docker/read-containers.ts'
import type { Source } from '../../discovery/watcher.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import type { ValuesOf } from '../command/option.ts'
import type { dockerOptions } from '../options/discovery.ts'
import { publishing } from './publish.ts'

/** `docker`: publishes the containers whose labels ask for it, as long as they run. */
export async function runDocker(values: ValuesOf<typeof dockerOptions>, context: CliContext): Promise<ExitStatus> {
  const { engine: text, network, by } = values
  const engine = new Engine(parseEngine(text), text)
  const source: Source = {
    list: async signal => readContainers(await engine.containers(signal), { network, by }),
    changes: signal => engine.changes(signal),
  }
  return publishing(values, context, (publish, signal) => publish(source, signal))
}
