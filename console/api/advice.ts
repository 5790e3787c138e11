/** Advice about a code, where the message of the gateway does not say it already. */
const BY_CODE = new Map([
  ['NOT_REACHED', 'Is the process running, and the port the same? The page asks again by itself.'],
  ['NO_ANSWER', 'The process may be busy or standing still. The page asks again by itself.'],
  ['UNAUTHENTICATED', 'Log in again.'],
  ['LOGIN_FAILED', 'Check address and password; a new account has to be confirmed by the link of its mail first.'],
  ['NOT_FOUND', 'Somebody may have removed it in the meantime: go back to the list.'],
  ['CONFLICT', 'Somebody else was faster: look at it as it is now, then change it again.'],
  ['LIMIT_REACHED', 'Delete what is not needed any more, or ask the operator for more.'],
  ['FORBIDDEN', 'This takes a role or a scope that the login does not have.'],
  ['STORE_UNAVAILABLE', 'The database of the service is away. Try again in a moment; tell the operator if it stays.'],
  ['INTERNAL', 'Tell the operator: the log has this request id.'],
])

/** Says what to do about an error. */
export function adviceFor(code: string, status: number): string {
  const known = BY_CODE.get(code)
  if (known !== undefined) return known
  if (status === 404) return 'This process does not have it: it may be turned off, or of another release. Reload the page.'
  if (status === 421) return 'Open the page by the name of this machine: localhost or 127.0.0.1.'
  if (status === 429) return 'Wait a little, then try again.'
  if (status >= 500) return 'Try again; if it stays, look into the log of the gateway.'
  return 'Correct what the message names, then try again.'
}
