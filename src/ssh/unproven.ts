import { addressKey } from '../address/address-key.ts'

/** Connections that have not logged in: so many at a time, of all and of one address. */
export class UnprovenConnections {
  readonly #byAddress = new Map<string, number>()
  #count = 0

  constructor(private readonly limits: { readonly unproven: number; readonly unprovenPerAddress: number }) {}

  /** Connections that have not logged in. */
  get count(): number {
    return this.#count
  }

  /** Takes one in. @returns gives its place back, once; undefined: there is no place */
  take(address: string): (() => void) | undefined {
    const key = addressKey(address)
    const known = this.#byAddress.get(key) ?? 0
    if (this.#count >= this.limits.unproven || known >= this.limits.unprovenPerAddress) return undefined
    this.#count++
    this.#byAddress.set(key, known + 1)
    let isHeld = true
    return () => {
      if (!isHeld) return
      isHeld = false
      this.#count--
      const left = this.#byAddress.get(key)! - 1
      if (left === 0) this.#byAddress.delete(key)
      else this.#byAddress.set(key, left)
    }
  }
}
