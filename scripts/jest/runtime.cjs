/**
 * What Jest runs test files in: Node.js's own module loader instead of Jest's. A test file is evaluated anew each time; what it imports is loaded
 * once for each worker, as in every program, and not once for each file, which was most of what a test file cost. There is one realm, so that
 * nothing is `instanceof` another Array.
 */
const asyncHooks = require('node:async_hooks')
const { register, registerHooks } = require('node:module')
const { setTimeout } = require('node:timers')
const { pathToFileURL } = require('node:url')
const { setFlagsFromString } = require('node:v8')
const { default: Runtime } = require('jest-runtime')

/** Where Jest keeps its event handlers from one file to the next. */
const EVENT_HANDLERS = Symbol.for('EVENT_HANDLERS')
/** Where `globals.js` finds the functions of the file that runs now. */
const CURRENT = Symbol.for('socket-gateway.jest')

/** @returns `hooks.js`, once imports of TypeScript work in this process */
const hook = async directory => {
  const hooks = await import('./hooks.js')
  const { initialize, load, resolve } = hooks
  initialize({ directory })
  if (registerHooks === undefined) register('./hooks.js', { parentURL: pathToFileURL(__filename), data: { directory } })
  else registerHooks({ load, resolve })
  return hooks
}

// As the program has it (src/main.cts): what is in the sockets of a test counts against a heap that is small, and full collections of everything that the
// files before have loaded follow each other.
setFlagsFromString('--heap-growing-percent=200')

// Nothing is left to do: at its exit Node.js waits for ever, at full speed, for some sockets that were reset (Environment::CleanupHandles).
process.once('beforeExit', () => process.exit())

/** What jest-worker sends when no file is left, and the time that it waits then, half of which is for what closes by itself. */
const CHILD_MESSAGE_END = 2
const GRACE_MS = 250

/** A test that leaves something open keeps its worker alive, and Jest ends that by force without a word of the reason. */
function endInTime([type]) {
  if (type !== CHILD_MESSAGE_END) return
  process.off('message', endInTime)
  setTimeout(() => {
    const open = process.getActiveResourcesInfo().join(' ')
    process.stderr.write(`a test file has left something open: ${open} (the last one of its worker was ${lastFile})\n`)
    process.exit()
  }, GRACE_MS).unref()
}
if (process.argv[1]?.endsWith('processChild.js')) process.on('message', endInTime)

let hooked
let lastFile
let sourceMapOf = () => undefined
let evaluated = 0

/** The source map of each module, looked for when a stack is printed. */
class SourceMaps extends Map {
  get(url) {
    return sourceMapOf(url)
  }
}

/**
 * Which test runs, for Jest, which runs one after the other. It would keep that in an AsyncLocalStorage: one for each file, never disabled, and before
 * Node.js 24 each promise, timer and socket carries the values of all of them. After a hundred files, an `await` costs a hundred times as much.
 */
class OneAfterTheOther {
  #value

  getStore() {
    return this.#value
  }

  async run(value, work) {
    const before = this.#value
    this.#value = value
    try {
      return await work()
    } finally {
      this.#value = before
    }
  }
}

module.exports = class NativeRuntime extends Runtime {
  constructor(config, ...more) {
    super(config, ...more)
    lastFile = this._testPath
    hooked ??= hook(config.cacheDirectory)
  }

  /** Keeps `process` as it is: there is no sandbox that a module could leave by it. */
  installGetBuiltinModule() {}

  getSourceMaps() {
    return new SourceMaps()
  }

  unstable_shouldLoadAsEsm() {
    return true
  }

  /** Evaluates a test file, or a file of `setupFilesAfterEnv`. */
  async unstable_importModule(path) {
    sourceMapOf = (await hooked).sourceMapOf
    return import(`${pathToFileURL(path)}?evaluation=${++evaluated}`)
  }

  /** Jest's own entry, which keeps the list of the tests of one file. */
  requireInternalModule(path) {
    delete require.cache[path]
    delete globalThis[EVENT_HANDLERS]
    // A getter on Node.js 24.
    const own = Object.getOwnPropertyDescriptor(asyncHooks, 'AsyncLocalStorage')
    Object.defineProperty(asyncHooks, 'AsyncLocalStorage', { configurable: true, enumerable: true, value: OneAfterTheOther })
    try {
      return require(path)
    } finally {
      Object.defineProperty(asyncHooks, 'AsyncLocalStorage', own)
    }
  }

  setGlobalsForRuntime(globals) {
    super.setGlobalsForRuntime(globals)
    globalThis[CURRENT] = { ...globals, jest: this.jestGlobals.jestObjectFor(this._testPath) }
  }
}
module.exports.default = module.exports
