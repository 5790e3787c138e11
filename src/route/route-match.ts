/** The conditions of a route beside its path: the key `match`. */
import type { RE2JS } from 're2js'
import { GatewayError, messageOf } from '../errors.ts'
import { compileRe2 } from './re2.ts'

/** The key `match`, as the file has it. */
export interface MatchSource {
  /** Compared exactly, one of them. */
  readonly methods?: readonly string[] | undefined
  /** Name → the value, or a regular expression with a leading `^`; all of them. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** The same for the parameters of the query. */
  readonly query?: Readonly<Record<string, string>> | undefined
}

/** A request as far as conditions see it. */
export interface MatchedRequest {
  readonly method: string
  /** Names and values in turn. */
  readonly fields: readonly string[]
  /** In lower case, one for each pair of `fields`. */
  readonly names: readonly string[]
}

const MAX_VALUE = 4_096
/** Names of each kind, and methods. */
const MAX_EACH = 16
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/
/** Never forwarded. */
const REFUSED: ReadonlySet<string> = new Set(['CONNECT', 'TRACE'])

/** One request with its query, which is taken apart when a condition asks for it. */
export class RequestFacts {
  #query: ReadonlyMap<string, string> | undefined

  constructor(
    private readonly request: MatchedRequest,
    private readonly queryText: string,
  ) {}

  get method(): string {
    return this.request.method
  }

  /** Values of fields with this name as one list (RFC 9110 §5.3); undefined: there is none. */
  header(name: string): string | undefined {
    const { names, fields } = this.request
    let value: string | undefined
    for (let i = names.indexOf(name); i >= 0; i = names.indexOf(name, i + 1)) {
      const each = fields[2 * i + 1]!
      value = value === undefined ? each : `${value}, ${each}`
    }
    return value
  }

  /** The first value of a parameter, decoded as of a form; undefined: there is none. */
  parameter(name: string): string | undefined {
    if (this.#query === undefined) {
      const query = new Map<string, string>()
      for (const [key, value] of new URLSearchParams(this.queryText)) if (!query.has(key)) query.set(key, value)
      this.#query = query
    }
    return this.#query.get(name)
  }
}

/** One value: a text, or an expression for the whole of it. */
class ValueTest {
  readonly #expression: RE2JS | undefined

  constructor(
    readonly name: string,
    readonly text: string,
    where: string,
  ) {
    if (text.length > MAX_VALUE) throw new GatewayError('CONFIG_INVALID', `${where}: expected a value of at most ${MAX_VALUE} characters`)
    if (!text.startsWith('^')) return
    try {
      this.#expression = compileRe2(text.slice(1))
    } catch (cause) {
      throw new GatewayError('CONFIG_INVALID', `${where}: not a valid regular expression (RE2 syntax): ${messageOf(cause)}`, { cause })
    }
  }

  accepts(value: string | undefined): boolean {
    if (value === undefined) return false
    return this.#expression === undefined ? value === this.text : this.#expression.testExact(value)
  }
}

const testsOf = (source: Readonly<Record<string, string>> = {}, kind: 'headers' | 'query'): readonly ValueTest[] => {
  const tests = Object.entries(source).map(([written, text]) => {
    const where = `${kind}.${written}`
    if (kind === 'query') return new ValueTest(written, text, where)
    const name = written.toLowerCase()
    if (!TOKEN.test(name)) throw new GatewayError('CONFIG_INVALID', `${where}: expected the name of a header field`)
    if (name === 'host')
      throw new GatewayError('CONFIG_INVALID', `${where}: a target is for its host already; write a target for the other one`)
    return new ValueTest(name, text, where)
  })
  const twice = tests.find(({ name }, i) => tests.findIndex(each => each.name === name) !== i)
  if (twice !== undefined) throw new GatewayError('CONFIG_INVALID', `${kind}: ${twice.name} is there twice`)
  if (tests.length > MAX_EACH) throw new GatewayError('CONFIG_INVALID', `${kind}: expected at most ${MAX_EACH} names, got ${tests.length}`)
  return tests.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The condition of a route beside its path, compiled. All parts of it have to be met. */
export class RouteMatch {
  readonly #methods: ReadonlySet<string>
  readonly #headers: readonly ValueTest[]
  readonly #query: readonly ValueTest[]
  /** Two routes of the same path with the same key would be one too many. */
  readonly key: string

  /** @throws GatewayError CONFIG_INVALID with the key that is wrong */
  constructor({ methods = [], headers, query }: MatchSource) {
    const refused = methods.find(method => !TOKEN.test(method) || REFUSED.has(method))
    if (refused !== undefined)
      throw new GatewayError('CONFIG_INVALID', `methods: ${JSON.stringify(refused)} is no method of requests that are forwarded`)
    if (methods.length > MAX_EACH) throw new GatewayError('CONFIG_INVALID', `methods: expected at most ${MAX_EACH}, got ${methods.length}`)
    this.#methods = new Set(methods)
    this.#headers = testsOf(headers, 'headers')
    this.#query = testsOf(query, 'query')
    if (this.#methods.size + this.#headers.length + this.#query.length === 0)
      throw new GatewayError('CONFIG_INVALID', 'expected at least one of methods, headers and query, with something in it')
    const pairs = (tests: readonly ValueTest[]) => tests.map(({ name, text }) => [name, text])
    this.key = JSON.stringify([[...this.#methods].sort(), pairs(this.#headers), pairs(this.#query)])
  }

  accepts(facts: RequestFacts): boolean {
    return (
      (this.#methods.size === 0 || this.#methods.has(facts.method)) &&
      this.#headers.every(test => test.accepts(facts.header(test.name))) &&
      this.#query.every(test => test.accepts(facts.parameter(test.name)))
    )
  }

  /** Names without values, which may be secret: `GET, version, ?page`. */
  get label(): string {
    return [...this.#methods, ...this.#headers.map(({ name }) => name), ...this.#query.map(({ name }) => `?${name}`)].join(', ')
  }

  /** In words, with values. */
  get text(): string {
    const methods = [...this.#methods].join(' or ')
    return [
      ...(methods === '' ? [] : [methods]),
      ...this.#headers.map(({ name, text }) => `${name}: ${text}`),
      ...this.#query.map(({ name, text }) => `?${name}=${text}`),
    ].join(', ')
  }

  /**
   * Orders what says more before what says less: a method, then more header fields, then more parameters.
   * @returns 0 where both say as much
   */
  static compare(a: RouteMatch | undefined, b: RouteMatch | undefined): number {
    if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined)
    return (
      Number(b.#methods.size > 0) - Number(a.#methods.size > 0) ||
      b.#headers.length - a.#headers.length ||
      b.#query.length - a.#query.length
    )
  }
}
