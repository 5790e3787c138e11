import type { Access, LoginRule } from '../../route/access.ts'

/** Says whom a socket lets in, with the providers that count. @throws GatewayError VISITOR_LOGIN_MISSING where there is none */
export type RuleOf = (access: Access) => LoginRule | undefined
