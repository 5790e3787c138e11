/** A target that is the URL of its origin alone: `api.example.com: http://127.0.0.1:8080`. */
import type { ConfigFault } from './document/fault.ts'
import { isYamlMap, type YamlDocument } from './document/yaml.ts'

/** Of an origin, with nothing behind it: a path would be a rewriting rule, which has a key of its own. */
const ORIGIN = /^(https?):\/\/(\[[0-9a-f:.]+\]|[^\s/:@?#[\]]+)(?::(\d{1,5}))?\/?$/i

const EXPECTED = 'expected the URL of an origin without a path, such as http://127.0.0.1:8080, or a map with the key hostname'

/** The keys of a target that a URL stands for; undefined: it is no URL of an origin. Whether the host is one is checked with the keys. */
export function targetOfUrl(text: string): Readonly<Record<string, unknown>> | undefined {
  const [, protocol, hostname, port] = ORIGIN.exec(text) ?? []
  if (protocol === undefined || hostname === undefined) return undefined
  return { protocol: protocol.toLowerCase(), hostname, ...(port !== undefined && { port: Number(port) }) }
}

/** The document with every such target written out; places stay those of the text. @param faults  gets those of texts that are none */
export function expandShorthand(document: YamlDocument, faults: ConfigFault[]): YamlDocument {
  const { value } = document
  const targets = isYamlMap(value) ? value['targets'] : undefined
  if (!isYamlMap(value) || !isYamlMap(targets) || !Object.values(targets).some(target => typeof target === 'string')) return document
  const expanded = Object.entries(targets).flatMap(([host, target]) => {
    if (typeof target !== 'string') return [[host, target] as const]
    const keys = targetOfUrl(target)
    if (keys !== undefined) return [[host, keys] as const]
    faults.push(document.fault(['targets', host], EXPECTED))
    return []
  })
  return {
    ...document,
    value: { ...value, targets: Object.fromEntries(expanded) },
    place: path => document.place(path),
    fault: (path, message) => document.fault(path, message),
  }
}
