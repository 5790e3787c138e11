/** The commands that publish what they find. */
import { defineCommand, type Command } from './command/command.ts'
import { dockerGroups, dockerOptions, kubernetesGroups, kubernetesOptions } from './options/discovery.ts'

/** Every command that finds services by itself, in the order of --help. */
export const DISCOVERY_COMMANDS: readonly Command[] = [
  defineCommand({
    words: ['docker'],
    describe: 'Publish the containers of this machine whose labels ask for it, as long as they run',
    options: dockerOptions,
    groups: dockerGroups,
    examples: [
      ['socket-gateway docker', 'as sockets of the service that you have logged in to'],
      ['socket-gateway docker --targets found.yaml --identifier lan-a', 'as targets of an outer layer: outer-layer --targets found.yaml'],
    ],
    run: async (values, _, context) => (await import('./discovery/docker.ts')).runDocker(values, context),
  }),
  defineCommand({
    words: ['kubernetes'],
    describe: 'Publish the Services of a cluster whose annotations ask for it',
    options: kubernetesOptions,
    groups: kubernetesGroups,
    examples: [
      ['socket-gateway kubernetes', 'in a pod, see deploy/kubernetes'],
      ['socket-gateway kubernetes --kubernetes-api http://127.0.0.1:8001', 'beside "kubectl proxy"'],
    ],
    run: async (values, _, context) => (await import('./discovery/kubernetes.ts')).runKubernetes(values, context),
  }),
]
