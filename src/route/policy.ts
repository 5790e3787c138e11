/** Which methods and paths a target allows. A request is allowed when any rule allows it, so the order of rules means nothing. */
import type { RE2JS } from 're2js'
import { GatewayError, messageOf } from '../errors.ts'
import { canonicalPath } from './path.ts'
import { compileRe2 } from './re2.ts'

/** One rule as it stands in the targets file. */
export interface RuleSource {
  /** `*`, a literal path, or a regular expression with a leading `^`. */
  readonly pattern: string
  /** Method names, compared exactly; `*` among them stands for every method but CONNECT and TRACE. */
  readonly methods: readonly string[]
  /** 1-based line of the pattern in its file. */
  readonly line: number
  /** May a literal path have `%2F` in it? Where it may not, such requests are refused before any rule. */
  readonly keepsEncodedSlash?: boolean
}

/** These two are never forwarded, whatever a rule says. */
const NEVER = new Set(['CONNECT', 'TRACE'])

const invalid = (message: string, cause?: unknown): never => {
  throw new GatewayError('CONFIG_INVALID', message, { cause })
}

const compileExpression = (expression: string): RE2JS => {
  try {
    return compileRe2(expression)
  } catch (cause) {
    const reason = messageOf(cause).replace('error parsing regexp: ', '')
    const hint = /\(\?[=!<]|\(\?P?[=!]|\\[1-9]/.test(expression) ? '; RE2 syntax has no lookaround and no backreferences' : ' (RE2 syntax)'
    return invalid(`not a valid regular expression: ${reason}${hint}`, cause)
  }
}

const compileLiteral = (pattern: string, keepsEncodedSlash: boolean): string => {
  if (!pattern.startsWith('/')) invalid('expected a path that starts with "/", a regular expression that starts with "^", or "*"')
  if (/[?#]/.test(pattern)) invalid('a path has no "?" or "#": the query is never part of the match')
  const encoded = pattern.replace(/[^ -~]/gu, character => Buffer.from(character).toString('hex').replace(/../g, '%$&'))
  const { path, ambiguous } = canonicalPath(encoded, true, keepsEncodedSlash)
  if (ambiguous !== undefined) invalid(`this path never matches, since requests for it are refused: it has ${ambiguous}`)
  return path
}

/** One compiled rule. */
export class PolicyRule implements RuleSource {
  readonly pattern: string
  readonly methods: readonly string[]
  readonly line: number
  /** The canonical path that a literal rule stands for, undefined for the other kinds. */
  readonly literal: string | undefined
  readonly #regex: RE2JS | undefined

  /** @throws GatewayError CONFIG_INVALID when the pattern is neither `*`, nor a valid path, nor a valid regular expression */
  constructor(source: RuleSource) {
    this.pattern = source.pattern
    this.methods = Object.freeze([...source.methods])
    this.line = source.line
    // Compiled alone and matched whole by the engine: text around it, as in "^" + it + "$", could be broken out of with ")|(".
    this.#regex = source.pattern.startsWith('^') ? compileExpression(source.pattern.slice(1)) : undefined
    this.literal = this.#regex || source.pattern === '*' ? undefined : compileLiteral(source.pattern, source.keepsEncodedSlash === true)
  }

  get kind(): 'any' | 'literal' | 'regex' {
    if (this.literal !== undefined) return 'literal'
    return this.#regex ? 'regex' : 'any'
  }

  /** Does the rule name this method; case counts, and GET does not imply HEAD (RFC 9110 §9.1). */
  allowsMethod(method: string): boolean {
    return !NEVER.has(method) && (this.methods.includes(method) || this.methods.includes('*'))
  }

  /** Does the rule cover this canonical path, the whole of it; in time linear in its length. */
  matchesPath(path: string): boolean {
    if (this.literal !== undefined) return this.literal === path
    return this.#regex ? this.#regex.testExact(path) : true
  }
}

/** The rules of one target, compiled. */
export class Policy {
  readonly rules: readonly PolicyRule[]
  /** The policy `*`: every path, whatever its form, by every method but CONNECT and TRACE. */
  readonly any: boolean
  readonly #literals = new Map<string, PolicyRule[]>()
  readonly #others: readonly PolicyRule[]

  private constructor(rules: readonly PolicyRule[], any: boolean) {
    this.rules = Object.freeze([...rules])
    this.any = any
    for (const rule of rules) {
      if (rule.literal === undefined) continue
      const same = this.#literals.get(rule.literal)
      if (same) same.push(rule)
      else this.#literals.set(rule.literal, [rule])
    }
    this.#others = [...rules.filter(rule => rule.kind === 'any'), ...rules.filter(rule => rule.kind === 'regex')]
  }

  /**
   * The policy `*`.
   * @param line where it stands, or where the target does that has none
   */
  static any(line = 0): Policy {
    return new Policy([new PolicyRule({ pattern: '*', methods: ['*'], line })], true)
  }

  /**
   * A policy of rules; without any rule it allows nothing.
   * @throws GatewayError CONFIG_INVALID as PolicyRule does
   */
  static of(sources: readonly RuleSource[]): Policy {
    return new Policy(
      sources.map(source => (source instanceof PolicyRule ? source : new PolicyRule(source))),
      false,
    )
  }

  /**
   * The rule that allows a request, undefined when none does.
   * @param path a canonical path, without query
   */
  decide(method: string, path: string): PolicyRule | undefined {
    for (const rule of this.#literals.get(path) ?? []) if (rule.allowsMethod(method)) return rule
    for (const rule of this.#others) if (rule.allowsMethod(method) && rule.matchesPath(path)) return rule
    return undefined
  }
}
