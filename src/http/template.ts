/** Texts of an operator with variables in them, such as `https://${host}${path}`. */
import { GatewayError } from '../errors.ts'

/** Values of variables by their name. */
export type Variables = Readonly<Record<string, string>>

/** A text, split where its variables stand. */
export interface Template {
  readonly text: string
  /** Text, name, text, name, … text; undefined when there is no variable in it. */
  readonly parts: readonly string[] | undefined
}

/**
 * Splits a text at its `${name}`.
 * @param known  names that are allowed
 * @throws GatewayError CONFIG_INVALID for any other name, and for a `${` that is not closed
 */
export function parseTemplate(text: string, known: readonly string[]): Template {
  if (!text.includes('${')) return Object.freeze({ text, parts: undefined })
  const parts = text.split(/\$\{([^{}]*)\}/)
  const list = known.map(name => `\${${name}}`).join(', ')
  if (parts.some((part, i) => i % 2 === 0 && part.includes('${'))) {
    throw new GatewayError('CONFIG_INVALID', `expected a "}" behind each "\${"; the variables are ${list}`)
  }
  const unknown = parts.find((part, i) => i % 2 === 1 && !known.includes(part))
  if (unknown !== undefined) throw new GatewayError('CONFIG_INVALID', `expected another variable than \${${unknown}}: one of ${list}`)
  return Object.freeze({ text, parts: Object.freeze(parts) })
}

/** The text with its variables replaced; nothing in a value is read as a variable again. */
export function expand({ text, parts }: Template, variables: Variables): string {
  if (parts === undefined) return text
  let expanded = parts[0]!
  for (let i = 1; i < parts.length; i += 2) expanded += (variables[parts[i]!] ?? '') + parts[i + 1]!
  return expanded
}
