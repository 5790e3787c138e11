import { CLIENT_FAULTS } from './client-faults.ts'
import type { Fault } from './fault.ts'
import { LINK_FAULTS } from './link-faults.ts'
import { ORIGIN_FAULTS } from './origin-faults.ts'
import { OUTER_FAULTS } from './outer-faults.ts'
import { PROCESS_FAULTS } from './process-faults.ts'

/** Every fault that has a name. */
export const FAULTS: readonly Fault[] = [...CLIENT_FAULTS, ...LINK_FAULTS, ...PROCESS_FAULTS, ...ORIGIN_FAULTS, ...OUTER_FAULTS]
