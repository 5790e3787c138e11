/** Targets that are valid and probably not what was meant. */
import { isGuardedHost } from '../address/guarded.ts'
import { parseHostPattern } from '../address/host.ts'
import type { PolicyRule } from '../route/policy.ts'
import type { RouteTable, Target } from '../route/table.ts'
import { scanExpression } from './scan-expression.ts'

/** One warning. */
export interface LintWarning {
  /** 1-based line of the target or the rule. */
  readonly line: number
  /** Name of the target, or the keys that are meant. */
  readonly target: string
  /** Pattern of the rule, undefined when the target as a whole is meant. */
  readonly pattern: string | undefined
  readonly message: string
}

function* lintTarget(target: Target): Generator<string> {
  const everyHost = target.name.startsWith('*')
  if (target.policy.any && everyHost && target.path === undefined && target.hostname !== '') {
    yield `the policy "*" opens the whole origin to ${parseHostPattern(target.name) === '*' ? 'every host name' : 'every host below'}; name the paths it needs`
  }
  if (target.policy.rules.length === 0) yield 'the policy is empty, so every request is refused'
  if (isGuardedHost(target.hostname)) {
    yield `${target.hostname} is a link-local or cloud metadata address; inner layers refuse it unless --allow names it`
  }
  yield* lintOrigin(target)
}

function* lintOrigin(target: Target): Generator<string> {
  if (target.protocol === 'https' && target.port === 80) yield 'https on port 80; is the protocol http?'
  if (target.protocol === 'http' && target.port === 443) yield 'http on port 443; is the protocol https?'
  const { tls } = target.profile ?? {}
  if (tls?.verify === false)
    yield 'the certificate of the origin is not verified: who is between it and the inner layer can read and change everything; name its authority with tls.ca'
  if (tls !== undefined && target.protocol === 'http') yield 'tls has no effect: the protocol is http'
  if (target.path?.prefix === undefined && target.path !== undefined) yield* lintExpression(target.path.text)
}

function* lintExpression(pattern: string): Generator<string> {
  const expression = pattern.slice(1)
  const { alternation, operators, anyCharacter, literal } = scanExpression(expression)
  if (!operators) {
    yield `an expression matches the whole path, so this is only exactly ${literal}; write "^${expression.replace(/\/$/, '')}/.*" for everything below it, or "${literal}" for that path`
  }
  if (alternation) yield 'alternatives at the top level, each of which has to match the whole path; put them in a group: "^(?:…|…)"'
  if (anyCharacter) yield 'an unescaped "." stands for any character; write "\\." for a dot'
  if (/[A-Za-z0-9_-]\.\*$/.test(expression))
    yield 'this also allows longer names, such as /v10 for "^/v1.*"; end the segment: "^/v1(?:/.*)?"'
  if (/^[A-Za-z0-9_%-]/.test(expression)) yield 'never matches: every path starts with "/"'
  if (expression.includes('\\?')) yield 'never matches a query: only the path is compared'
  if (/%2f|%5c/i.test(expression)) yield 'never matches: a path with an encoded slash or backslash is refused'
  else if (/%(?:[a-f][0-9a-fA-F]|[0-9A-F][a-f])/.test(expression))
    yield 'never matches: in a canonical path the digits after "%" are in upper case'
  if (literal.includes('//')) yield 'never matches: runs of slashes are read as one'
}

/** Does `wide` allow everything that `narrow` allows. Not complete: of two expressions only the plainest case is seen. */
const covers = (wide: PolicyRule, narrow: PolicyRule): boolean => {
  if (!wide.methods.includes('*') && !narrow.methods.every(method => wide.methods.includes(method))) return false
  if (wide.kind === 'any' || wide.pattern === '^.*' || wide.pattern === '^/.*') return true
  return narrow.literal !== undefined && wide.matchesPath(narrow.literal)
}

function* lintRule(rule: PolicyRule, rules: readonly PolicyRule[]): Generator<string> {
  if (rule.kind === 'regex') yield* lintExpression(rule.pattern)
  const lower = rule.methods.filter(method => /[a-z]/.test(method))
  if (lower.length > 0) yield `method names are compared exactly, so ${lower.join(', ')} is not ${lower.join(', ').toUpperCase()}`
  const index = rules.indexOf(rule)
  const wider = rules.find((other, i) => i !== index && covers(other, rule) && (i < index || !covers(rule, other)))
  if (wider) yield `adds nothing: the rule ${wider.pattern} of line ${wider.line} allows all of it`
}

/** Warnings for dangerous or useless configuration, in the order of the file. The table is in force all the same. */
export const lintTargets = (table: RouteTable): readonly LintWarning[] => {
  const warnings: LintWarning[] = table.doubts.map(({ line, path, message }) => ({ line, target: path, pattern: undefined, message }))
  const warned = new Set<unknown>()
  for (const target of table.all) {
    for (const message of lintTarget(target)) warnings.push({ line: target.line, target: target.name, pattern: undefined, message })
    // A route with the policy of its target has been judged with it.
    if (target.policy.any || warned.has(target.policy)) continue
    warned.add(target.policy)
    for (const rule of target.policy.rules) {
      for (const message of lintRule(rule, target.policy.rules)) {
        warnings.push({ line: rule.line, target: target.name, pattern: rule.pattern, message })
      }
    }
  }
  return warnings.sort((a, b) => a.line - b.line)
}
