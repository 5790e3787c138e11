/** Permissions: roles of accounts, and the scopes that narrow a token. */
import { ServiceError } from '../input/service-error.ts'
import type { Actor, Role, Scope } from '../model.ts'

const has = ({ scopes }: Actor, wanted: readonly Scope[]): boolean => scopes === undefined || wanted.some(scope => scopes.includes(scope))

/** @throws ServiceError FORBIDDEN unless the actor has one of the scopes */
export function needScope(actor: Actor, ...scopes: readonly Scope[]): void {
  if (has(actor, scopes)) return
  throw new ServiceError('FORBIDDEN', `This token does not allow that; it needs the scope ${scopes.join(' or ')}.`)
}

/** @throws ServiceError FORBIDDEN unless the actor has one of the roles, and the scope to use it */
export function needRole(actor: Actor, ...roles: readonly Role[]): void {
  if (!roles.includes(actor.role))
    throw new ServiceError('FORBIDDEN', `This needs the role ${roles.join(' or ')}; ask an admin of the service.`)
  needScope(actor, 'admin')
}

/** May the actor read what belongs to others? */
export const readsAll = (actor: Actor): boolean => actor.role !== 'user' && has(actor, ['admin'])

/** May the actor change what belongs to others? */
export const changesAll = (actor: Actor): boolean => actor.role === 'admin' && has(actor, ['admin'])

/** The refusal of what is not there or not the actor's: nobody learns which of the two. */
export const notFound = (): ServiceError => new ServiceError('NOT_FOUND')

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** @throws ServiceError NOT_FOUND for what can be no id: the same as for one that is nobody's */
export function needId(id: unknown): string {
  if (typeof id !== 'string' || !UUID.test(id)) throw notFound()
  return id
}
