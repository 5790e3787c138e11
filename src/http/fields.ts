/**
 * Header and trailer fields as a flat list `[name, value, name, value, …]` in wire order, as `rawHeaders` of node:http: order, case,
 * duplicates and empty values survive. Names and values are bytes in HTTP; each character stands for one byte (latin-1).
 */

/** A flat list of names and values. */
export type Fields = readonly string[]

/** Most fields of one head. */
export const MAX_FIELDS = 200

/** All values of the field `name` (lower case). */
export function valuesOf(fields: Fields, name: string): string[] {
  const values: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.length === name.length && fields[i]!.toLowerCase() === name) values.push(fields[i + 1]!)
  }
  return values
}
