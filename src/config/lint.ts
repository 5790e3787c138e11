/** Targets that are valid and probably not what was meant. */
import { isGuardedHost } from '../address/guarded.ts'
import { parseTargetHost } from '../address/host.ts'
import type { PolicyRule } from '../route/policy.ts'
import type { RouteTable, Target } from '../route/table.ts'
import { nearest } from './document/nearest.ts'
import { scanExpression } from './scan-expression.ts'
import { atOnce, inSlices } from './slices.ts'

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

/** The use of an expression, beside its text. */
interface ExpressionUse {
  readonly keepsEncodedSlash: boolean
  /** Is exactly one path probably meant? */
  readonly mayBeExact: boolean
}

function* lintTarget(target: Target, siblings: readonly Target[]): Generator<string> {
  const everyHost = target.name.startsWith('*')
  if (target.policy.any && everyHost && target.path === undefined && target.hostname !== '') {
    yield `the policy "*" opens the whole origin to ${parseTargetHost(target.name) === '*' ? 'every host name' : 'every host below'}; name the paths it needs`
  }
  if (target.policy.rules.length === 0) yield 'the policy is empty, so every request is refused'
  if (isGuardedHost(target.hostname)) {
    yield `${target.hostname} is a link-local or cloud metadata address; inner layers refuse it unless --allow names it`
  }
  yield* lintOrigin(target)
  if (target.path?.prefix === undefined && target.path !== undefined) {
    // Of a route that answers by itself, or beside one for what is below, exactly one path is meant: only an expression can say so.
    const { literal } = scanExpression(target.path.text.slice(1))
    const mayBeExact =
      target.treatment?.answer !== undefined || siblings.some(({ path }) => path?.prefix !== undefined && path.prefix.startsWith(literal))
    yield* lintExpression(target.path.text, { keepsEncodedSlash: target.keepsEncodedSlash === true, mayBeExact })
  }
}

function* lintOrigin(target: Target): Generator<string> {
  if (target.protocol === 'https' && target.port === 80) yield 'https on port 80; is the protocol http?'
  if (target.protocol === 'http' && target.port === 443) yield 'http on port 443; is the protocol https?'
  const { tls } = target.profile ?? {}
  if (tls?.verify === false)
    yield 'the certificate of the origin is not verified: who is between it and the inner layer can read and change everything; name its authority with tls.ca'
  if (tls !== undefined && target.protocol === 'http') yield 'tls has no effect: the protocol is http'
}

function* lintExpression(pattern: string, { keepsEncodedSlash, mayBeExact }: ExpressionUse): Generator<string> {
  const expression = pattern.slice(1)
  const { alternation, operators, anyCharacter, literal } = scanExpression(expression)
  if (!operators && !mayBeExact) {
    yield `an expression matches the whole path, so this is only exactly ${literal}; write "^${expression.replace(/\/$/, '')}/.*" for everything below it, or "${literal}" for that path`
  }
  if (alternation) yield 'alternatives at the top level, each of which has to match the whole path; put them in a group: "^(?:…|…)"'
  if (anyCharacter) yield 'an unescaped "." stands for any character; write "\\." for a dot'
  if (/[A-Za-z0-9_-]\.\*$/.test(expression))
    yield 'this also allows longer names, such as /v10 for "^/v1.*"; end the segment: "^/v1(?:/.*)?"'
  if (/^[A-Za-z0-9_%-]/.test(expression)) yield 'never matches: every path starts with "/"'
  if (expression.includes('\\?')) yield 'never matches a query: only the path is compared'
  if (/%5c/i.test(expression)) yield 'never matches: a path with an encoded backslash is refused'
  else if (!keepsEncodedSlash && /%2f/i.test(expression))
    yield 'never matches: a path with an encoded slash is refused, unless the target has encodedSlash: keep'
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

/** The methods that people allow (RFC 9110 §9, RFC 5789, RFC 4918, RFC 3253, RFC 5323, and HTTP QUERY); any other may be meant as well. */
const METHODS = [
  ...[
    'GET',
    'HEAD',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
    'QUERY',
    'PROPFIND',
    'PROPPATCH',
    'MKCOL',
    'COPY',
    'MOVE',
    'LOCK',
    'UNLOCK',
  ],
  ...['REPORT', 'SEARCH', 'MKCALENDAR', 'ACL', 'BIND', 'PURGE', 'NOTIFY', 'SUBSCRIBE', 'UNSUBSCRIBE', 'MERGE', 'CHECKOUT', 'CHECKIN'],
]

function* lintMethods(methods: readonly string[]): Generator<string> {
  const lower = methods.filter(method => /[a-z]/.test(method))
  if (lower.length > 0) yield `method names are compared exactly, so ${lower.join(', ')} is not ${lower.join(', ').toUpperCase()}`
  for (const method of methods) {
    if (method === '*' || METHODS.includes(method.toUpperCase())) continue
    const meant = nearest(method, METHODS)
    if (meant !== undefined) yield `no client uses the method ${method}, did you mean ${meant}?`
  }
}

function* lintRule(rule: PolicyRule, rules: readonly PolicyRule[], keepsEncodedSlash: boolean): Generator<string> {
  if (rule.kind === 'regex') yield* lintExpression(rule.pattern, { keepsEncodedSlash, mayBeExact: false })
  yield* lintMethods(rule.methods)
  const index = rules.indexOf(rule)
  const wider = rules.find((other, i) => i !== index && covers(other, rule) && (i < index || !covers(rule, other)))
  if (wider) yield `adds nothing: the rule ${wider.pattern} of line ${wider.line} allows all of it`
}

/** Yields the keys that keep clients from a route, and would not keep them from its target. */
function* fencesOf(route: Target, target: Target): Generator<string> {
  const [inner, outer] = [route.treatment, target.treatment]
  if (inner?.basicAuth !== undefined && outer?.basicAuth === undefined) yield 'basicAuth'
  if (inner?.access !== undefined && outer?.access === undefined) yield 'access'
  if (inner?.allow !== undefined && outer?.allow === undefined) yield 'allow'
  if ((inner?.deny?.entries.length ?? 0) > 0 && outer?.deny === undefined) yield 'deny'
  if (!route.policy.any && target.policy.any) yield 'policy'
}

const sameOrigin = (a: Target, b: Target): boolean => a.hostname === b.hostname && a.port === b.port && a.protocol === b.protocol

/**
 * A route that is stricter than the rest of the same origin is a fence only for the spelling that the gateway knows: origins read `/ADMIN`,
 * `/admin.php/x` or a rewritten address as they like.
 */
function* lintFence(route: Target, target: Target): Generator<string> {
  if (target.hostname === '' || target.treatment?.answer !== undefined || route.treatment?.answer !== undefined) return
  const other = route.path?.prefix?.toUpperCase()
  // What the policy of the target refuses is no way around.
  if (other === undefined ? !target.policy.any : target.policy.decide('GET', other) === undefined) return
  const fences = sameOrigin(route, target) ? [...fencesOf(route, target)] : []
  if (fences.length > 0)
    yield `${fences.join(' and ')} of this route ${fences.length === 1 ? 'is' : 'are'} no fence: the same origin is open by every other path of ${target.name}, and may read one of them, such as ${other ?? 'another spelling'}, as this one; put ${fences.length === 1 ? 'it' : 'them'} on the target and switch ${fences.length === 1 ? 'it' : 'them'} off for what is public`
}

function* lintRules({ name, policy, keepsEncodedSlash }: Target): Generator<LintWarning> {
  for (const rule of policy.rules) {
    for (const message of lintRule(rule, policy.rules, keepsEncodedSlash === true))
      yield { line: rule.line, target: name, pattern: rule.pattern, message }
  }
}

/** Warnings for one target and its routes. */
function* lintHost(host: Target): Generator<LintWarning> {
  const judged = new Set<unknown>()
  const routes = host.routes?.all ?? []
  for (const target of [host, ...routes]) {
    const { name, line, policy } = target
    const messages = target === host ? lintTarget(target, []) : [...lintTarget(target, routes), ...lintFence(target, host)]
    for (const message of messages) yield { line, target: name, pattern: undefined, message }
    // A route with the policy of its target has been judged with it.
    if (policy.any || judged.has(policy)) continue
    judged.add(policy)
    yield* lintRules(target)
  }
}

function* warningsOf(table: RouteTable): Generator<undefined, readonly LintWarning[]> {
  const warnings: LintWarning[] = table.doubts.map(({ line, path, message }) => ({ line, target: path, pattern: undefined, message }))
  for (const target of table.targets) {
    warnings.push(...lintHost(target))
    yield
  }
  return warnings.sort((a, b) => a.line - b.line)
}

/** Warnings for dangerous or useless configuration, in the order of the file. The table is in force all the same. */
export const lintTargets = (table: RouteTable): readonly LintWarning[] => atOnce(warningsOf(table))

/** The same, in slices between which the event loop turns. */
export const lintTargetsInSlices = (table: RouteTable): Promise<readonly LintWarning[]> => inSlices(warningsOf(table))
