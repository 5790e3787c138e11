/** The result of one check. */
export interface Finding {
  readonly result: 'ok' | 'warn' | 'FAIL'
  /** The subject of the check, in a word or two. */
  readonly check: string
  /** The finding in words. */
  readonly detail: string
  /** The remedy; undefined where nothing has to be done. */
  readonly remedy?: string
}

export const ok = (check: string, detail: string): Finding => ({ result: 'ok', check, detail })
export const warn = (check: string, detail: string, remedy: string): Finding => ({ result: 'warn', check, detail, remedy })
export const fail = (check: string, detail: string, remedy: string): Finding => ({ result: 'FAIL', check, detail, remedy })
