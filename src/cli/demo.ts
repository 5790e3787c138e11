import { GatewayError } from '../errors.ts'
import type { ExitStatus } from './command.ts'
import type { CliContext } from './context.ts'

/** `demo`: a sample API, both layers and some requests through them. Placeholder until its body is written. */
export const runDemo = (_context: CliContext, _options: { readonly once: boolean }): Promise<ExitStatus> =>
  Promise.reject(new GatewayError('USAGE', 'demo is not part of this build yet'))
