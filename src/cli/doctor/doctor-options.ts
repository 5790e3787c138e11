import { parseHostPort } from '../../address/host-port.ts'
import { flag, listOf, type OptionTable, type Reader } from '../command/option.ts'
import { innerLayerOptions, outerLayerOptions } from '../options/layers.ts'

const HOST_PORT: Reader<string> = {
  expected: 'HOST:PORT, an IPv6 address in brackets',
  read: text => ((parseHostPort(text)?.host ?? '') === '' ? undefined : text),
}

/** The same options, none of them required. */
const asOptional = <Table extends OptionTable>(table: Table): Table =>
  Object.fromEntries(Object.entries(table).map(([name, option]) => [name, { ...option, isRequired: false }])) as unknown as Table

/** Options of `doctor`: those of both layers, so that the file of either can be given with --config. */
export const doctorOptions = {
  origin: listOf(HOST_PORT, { describe: 'HOST:PORT that the inner layer has to reach; repeatable', fallback: [] }),
  json: flag('Print the findings as JSON'),
  ...asOptional(innerLayerOptions),
  ...asOptional(outerLayerOptions),
  // Its other name is an option of the inner layer.
  'public-key': { ...outerLayerOptions['public-key'], isRequired: false, aliases: [] },
}
