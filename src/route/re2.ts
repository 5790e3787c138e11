import type { RE2JS } from 're2js'
import { lazily } from '../lazily.ts'

const library = lazily<{ readonly RE2JS: typeof RE2JS }>('re2js')

/** An expression that takes linear time, whatever it is given. The library is loaded by the first one: most targets files have none. @throws Error in RE2's words */
export const compileRe2 = (expression: string): RE2JS => library().RE2JS.compile(expression)
