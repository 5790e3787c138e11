/** What `@jest/globals` is in a test file: modules stay from one test file to the next, so each use asks for what belongs to the file that runs now. */
const CURRENT = Symbol.for('socket-gateway.jest')

const current = name =>
  new Proxy(() => undefined, {
    apply: (_, self, args) => Reflect.apply(globalThis[CURRENT][name], self, args),
    get: (_, key) => globalThis[CURRENT][name][key],
    has: (_, key) => key in globalThis[CURRENT][name],
  })

export const afterAll = current('afterAll')
export const afterEach = current('afterEach')
export const beforeAll = current('beforeAll')
export const beforeEach = current('beforeEach')
export const describe = current('describe')
export const expect = current('expect')
export const it = current('it')
export const jest = current('jest')
export const test = current('test')
