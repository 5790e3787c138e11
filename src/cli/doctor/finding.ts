/** What one check has found. */
export interface Finding {
  readonly result: 'ok' | 'warn' | 'FAIL'
  /** What was checked, in a word or two. */
  readonly check: string
  /** What was found. */
  readonly detail: string
  /** What to do about it; undefined where nothing has to be done. */
  readonly remedy?: string
}

export const ok = (check: string, detail: string): Finding => ({ result: 'ok', check, detail })
export const warn = (check: string, detail: string, remedy: string): Finding => ({ result: 'warn', check, detail, remedy })
export const fail = (check: string, detail: string, remedy: string): Finding => ({ result: 'FAIL', check, detail, remedy })
