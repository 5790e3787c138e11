/** Puts an inspector together: what taps see goes into it, and its port shows it. */
import { performance } from 'node:perf_hooks'
import { formatHostPort } from '../../address/host-port.ts'
import type { InnerLayer } from '../../inner/inner-layer.ts'
import { InspectorApi } from '../../inspector/api/inspector-api.ts'
import { RecordStore } from '../../inspector/disk/record-store.ts'
import { Inspector } from '../../inspector/inspector.ts'
import { InspectorPort } from '../../inspector/port/inspector-port.ts'
import { SecretNames } from '../../inspector/redact/secret-names.ts'
import { EdgeReplayer, type SendAtEdge } from '../../inspector/replay/edge-replayer.ts'
import { OriginReplayer } from '../../inspector/replay/origin-replayer.ts'
import type { Replayer } from '../../inspector/replay/replay.ts'
import type { Taps } from '../../tap/tap.ts'
import type { Log } from '../../telemetry/log.ts'
import type { ValuesOf } from '../command/option.ts'
import type { inspectOptions, outerInspectOptions } from '../options/inspect.ts'

/** The disk may take so many times as much as the memory. */
const STORE_PART = 4

type Keeping = Omit<ValuesOf<typeof inspectOptions>, 'inspect'>

/** An inspector of a layer, from its taps to its API. */
class Inspection {
  readonly inspector: Inspector
  readonly api: InspectorApi
  readonly #store: RecordStore | undefined
  #replayer: Replayer | undefined
  protected readonly onFault: (thrown: unknown) => void

  /** @param tag  behind the ids of records, where several processes record what is shown together */
  constructor(layer: 'inner' | 'outer', values: Keeping, log: Log, tag?: string) {
    this.onFault = thrown => log.error({ err: thrown }, 'internal fault in the inspector; what it looks at goes on')
    this.inspector = new Inspector({
      layer,
      budgetBytes: values['inspect-memory'],
      bodyLimitBytes: values['inspect-body'],
      names: new SecretNames({ more: values['inspect-redact'], shown: values['inspect-show'] }),
      keepsBytes: values['inspect-bytes'],
      ...(tag !== undefined && { tag }),
      clock: () => performance.now(),
      nowMs: Date.now,
      onFault: this.onFault,
    })
    const folder = values['inspect-store']
    if (folder !== undefined)
      this.#store = new RecordStore(this.inspector, {
        folder,
        hours: values['inspect-hours'],
        maxBytes: STORE_PART * values['inspect-memory'],
        nowMs: Date.now,
        onFault: message => log.warn({ folder }, message),
      })
    // The layer is made with the taps, and the replayer with the layer.
    const replayer: Replayer = {
      send: async (request, record) =>
        this.#replayer === undefined ? { id: null, status: null, durationMs: 0, error: 'DRAINING' } : this.#replayer.send(request, record),
    }
    this.api = new InspectorApi({ inspector: this.inspector, replayer, onFault: this.onFault })
  }

  get taps(): Taps {
    return this.inspector
  }

  /**
   * Reads what an earlier process has kept.
   * @param secrets  reads the keys of the service that seal it; undefined: the folder has a key of its own
   * @throws GatewayError FILE_UNREADABLE, KEY_INVALID
   */
  async open(secrets?: () => Promise<Buffer>): Promise<void> {
    if (this.#store !== undefined) await this.#store.start(await secrets?.())
  }

  /** Writes what is to be kept. */
  async close(): Promise<void> {
    this.api.close()
    await this.#store?.close()
  }

  protected set replayer(replayer: Replayer) {
    this.#replayer = replayer
  }
}

/** The inspector of a process that makes requests to origins, with a port of its own. */
export class OriginInspection extends Inspection {
  readonly #port: InspectorPort
  #url = ''

  /** @throws GatewayError USAGE for an address that others can reach */
  constructor(
    private readonly place: NonNullable<ValuesOf<typeof inspectOptions>['inspect']>,
    values: Keeping,
    log: Log,
  ) {
    super('inner', values, log)
    this.#port = new InspectorPort(place, this.api, this.onFault)
  }

  /** The address of the page, once started. */
  get url(): string {
    return this.#url
  }

  /** Opens the port. @throws GatewayError LISTEN_FAILED */
  async start(): Promise<void> {
    await this.open()
    const port = await this.#port.start()
    this.#url = `http://${formatHostPort({ host: this.place.host, port })}`
  }

  /** The layer that sends again what was recorded. */
  serves(layer: Pick<InnerLayer, 'drivers'>): void {
    this.replayer = new OriginReplayer(layer.drivers, this.inspector, this.inspector.options.clock)
  }

  override async close(): Promise<void> {
    await this.#port.close()
    await super.close()
  }
}

/** The inspector of an outer layer, at its admin port. */
export class EdgeInspection extends Inspection {
  constructor(values: Omit<ValuesOf<typeof outerInspectOptions>, 'inspect'>, log: Log, tag?: string) {
    super('outer', values, log, tag)
  }

  /** The layer that sends again what was recorded. */
  serves(layer: { readonly replay: SendAtEdge }): void {
    this.replayer = new EdgeReplayer(request => layer.replay(request), this.inspector)
  }
}
