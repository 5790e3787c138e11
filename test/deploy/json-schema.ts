/** JSON Schema (2020-12), as far as the schemas go that tests hold files against; of a keyword that is not known nothing is passed over. */

type Keywords = Readonly<Record<string, unknown>>
type Schema = boolean | Keywords
type Schemas = Readonly<Record<string, Schema>>
type Value = Readonly<Record<string, unknown>>

const SAYS_NOTHING = new Set(['$schema', '$id', '$defs', 'title', 'description', 'default', 'deprecated', 'examples'])

const isMap = (value: unknown): value is Value => typeof value === 'object' && value !== null && !Array.isArray(value)

const typeOf = (value: unknown): string => (value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value)

const isOf = (value: unknown, type: string): boolean => (type === 'integer' ? Number.isInteger(value) : typeOf(value) === type)

/** A schema that others in it are looked up in. */
class Judge {
  constructor(private readonly root: Keywords) {}

  #meant(reference: string): Schema {
    const [, name = ''] = /^#\/\$defs\/(\w+)$/.exec(reference) ?? []
    const found = (this.root['$defs'] as Schemas)[name]
    if (found === undefined) throw new Error(`${reference} leads nowhere`)
    return found
  }

  /** Faults of a value, each with its place. */
  *faults(value: unknown, schema: Schema, place: string): Generator<string> {
    if (schema === true) return
    if (schema === false) {
      yield `${place}: is not expected`
      return
    }
    for (const [keyword, said] of Object.entries(schema))
      if (!SAYS_NOTHING.has(keyword)) yield* this.#said(keyword, said, schema, value, place)
  }

  #isWell(value: unknown, schema: Schema): boolean {
    return this.faults(value, schema, '').next().done === true
  }

  *#said(keyword: string, said: unknown, schema: Keywords, value: unknown, place: string): Generator<string> {
    const no = (is: boolean, words: string): string[] => (is ? [`${place}: ${words}`] : [])
    const fits = (each: Schema): boolean => this.#isWell(value, each)
    switch (keyword) {
      case '$ref':
        yield* this.faults(value, this.#meant(said as string), place)
        return
      case 'type':
        yield* no(![said].flat().some(type => isOf(value, type as string)), `is ${typeOf(value)}, not ${String(said)}`)
        return
      case 'enum':
        yield* no(!(said as unknown[]).includes(value), `is none of ${String(said)}`)
        return
      case 'oneOf':
        yield* no((said as Schema[]).filter(fits).length !== 1, 'fits another number of shapes than one')
        return
      case 'anyOf':
        yield* no(!(said as Schema[]).some(fits), 'fits no shape')
        return
      case 'allOf':
        for (const each of said as Schema[]) yield* this.faults(value, each, place)
        return
      case 'required':
        yield* no(isMap(value) && (said as string[]).some(name => !Object.hasOwn(value, name)), `lacks one of ${String(said)}`)
        return
      case 'pattern':
        yield* no(typeof value === 'string' && !new RegExp(said as string, 'u').test(value), `is not as ${String(said)}`)
        return
      case 'minimum':
        yield* no(typeof value === 'number' && value < (said as number), `is less than ${String(said)}`)
        return
      case 'maximum':
        yield* no(typeof value === 'number' && value > (said as number), `is more than ${String(said)}`)
        return
      case 'uniqueItems':
        if (said === true && Array.isArray(value))
          yield* no(new Set(value.map(each => JSON.stringify(each))).size < value.length, 'repeats itself')
        return
      case 'items':
        for (const [i, each] of Array.isArray(value) ? value.entries() : []) yield* this.faults(each, said as Schema, `${place}[${i}]`)
        return
      case 'properties':
      case 'patternProperties':
      case 'additionalProperties':
      case 'unevaluatedProperties':
        if (isMap(value)) yield* this.#members(keyword, schema, value, place)
        return
      default:
        throw new Error(`the keyword ${keyword} is not known here`)
    }
  }

  /** Schemas of a member, by its name or by a pattern for it. */
  #ofMember(name: string, { properties = {}, patternProperties = {} }: Keywords): readonly Schema[] {
    const patterns = Object.entries(patternProperties as Schemas).filter(([pattern]) => new RegExp(pattern, 'u').test(name))
    const own = properties as Schemas
    return [...(Object.hasOwn(own, name) ? [own[name]!] : []), ...patterns.map(([, each]) => each)]
  }

  /** The schema, and those that it refers to or consists of. */
  *#whole(schema: Schema): Generator<Keywords> {
    if (typeof schema === 'boolean') return
    yield schema
    if (typeof schema['$ref'] === 'string') yield* this.#whole(this.#meant(schema['$ref']))
    for (const each of (schema['allOf'] as Schema[] | undefined) ?? []) yield* this.#whole(each)
  }

  *#members(keyword: string, schema: Keywords, value: Value, place: string): Generator<string> {
    const said = schema[keyword]
    for (const [name, member] of Object.entries(value)) {
      const own =
        keyword === 'additionalProperties'
          ? this.#ofMember(name, schema)
          : keyword === 'unevaluatedProperties'
            ? [...this.#whole(schema)].flatMap(each => this.#ofMember(name, each))
            : this.#ofMember(name, { [keyword]: said })
      const isNamed = keyword === 'properties' || keyword === 'patternProperties'
      for (const each of isNamed ? own : own.length === 0 ? [said as Schema] : []) yield* this.faults(member, each, `${place}.${name}`)
    }
  }
}

/** Faults of a value as a schema has it, each with its place; none: it is as the schema says. @throws Error for a schema with more than is known here */
export const schemaFaults = (value: unknown, schema: Keywords, place: string): readonly string[] => [
  ...new Judge(schema).faults(value, schema, place),
]
