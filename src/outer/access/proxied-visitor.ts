import type { ProxiedVisitor } from '../../net/write-proxy-header.ts'
import type { Visitor } from '../../route/access.ts'

/** A visitor as the header of the PROXY protocol has it. @param identity  a JWT that says the same; absent: there is none */
export const proxiedVisitor = ({ lane, provider, subject, email, name, groups }: Visitor, identity?: string): ProxiedVisitor => ({
  lane,
  subject: provider === undefined ? subject : `${provider}|${subject}`,
  email,
  name,
  groups,
  identity,
})
