import type { SharedAccess } from '../outer/access/access-check.ts'

/** The state that all processes of one outer layer have in common, as far as visitors need it. */
export type SharedByVisitors = Pick<SharedAccess, 'counts' | 'peers' | 'exact'>
