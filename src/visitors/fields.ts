import type { AcceptedRequest } from '../http/admission.ts'

/** The only value of a field; undefined when there is none, or more than one. */
export function fieldOf({ fields, names }: Pick<AcceptedRequest, 'fields' | 'names'>, wanted: string): string | undefined {
  const first = names.indexOf(wanted)
  return first < 0 || names.lastIndexOf(wanted) !== first ? undefined : fields[2 * first + 1]
}

/** Of a query or a form; a name that stands twice is left out: two readers would take two values for it. */
export function parametersOf(text: string): ReadonlyMap<string, string> {
  const parameters = new Map<string, string>()
  const doubled = new Set<string>()
  for (const [name, value] of new URLSearchParams(text)) {
    if (parameters.has(name)) doubled.add(name)
    parameters.set(name, value)
  }
  for (const name of doubled) parameters.delete(name)
  return parameters
}
