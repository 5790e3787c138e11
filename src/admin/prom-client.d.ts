/** The parts of prom-client's default metrics, which it declares for all of them together only. */
declare module 'prom-client/lib/metrics/*.js' {
  import type { Registry } from 'prom-client'

  const register: (registry: Registry, options: object) => void
  export default register
}
