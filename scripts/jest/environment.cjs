/** The environment of `runtime.cjs`: the process itself, left as it was found. */
const { LegacyFakeTimers, ModernFakeTimers } = require('@jest/fake-timers')
const { ModuleMocker } = require('jest-mock')

/** As in every program; Jest sets a hundred, which makes each error ten times as dear. */
const STACK_FRAMES = 10

module.exports = class NativeEnvironment {
  #console = globalThis.console
  #exit = process.exit

  constructor({ projectConfig }) {
    this.global = globalThis
    this.moduleMocker = new ModuleMocker(globalThis)
    const timers = { config: projectConfig, global: globalThis }
    this.fakeTimers = new LegacyFakeTimers({
      ...timers,
      moduleMocker: this.moduleMocker,
      timerConfig: { idToRef: id => id, refToId: timer => timer },
    })
    this.fakeTimersModern = new ModernFakeTimers(timers)
  }

  setup() {
    Error.stackTraceLimit = STACK_FRAMES
  }

  teardown() {
    this.fakeTimersModern.dispose()
    this.fakeTimers.dispose()
    globalThis.console = this.#console
    process.exit = this.#exit
    // The tests of this file, and all that they hold.
    for (const symbol of Object.getOwnPropertySymbols(globalThis)) if (symbol.description === 'JEST_STATE_SYMBOL') delete globalThis[symbol]
  }

  exportConditions() {
    return ['node', 'node-addons']
  }

  getVmContext() {
    return null
  }
}
