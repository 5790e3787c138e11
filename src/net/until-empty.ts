const LOOK_MS = 10

/** Resolves once `size` is 0, or after `graceMs`. */
export function untilEmpty(size: () => number, graceMs: number): Promise<void> {
  return new Promise(resolve => {
    let leftMs = graceMs
    const look = (): void => {
      if (size() > 0 && leftMs > 0) {
        leftMs -= LOOK_MS
        return
      }
      clearInterval(timer)
      resolve()
    }
    const timer = setInterval(look, LOOK_MS)
    look()
  })
}
