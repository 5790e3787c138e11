import type { ConsoleFacts } from '../../src/console/console-files.ts'
import { Portal } from '../portal/portal.tsx'
import { Inspector } from '../requests/inspector.tsx'
import { Operator } from '../operator/operator.tsx'

/** The console of whoever the port serves. */
export function App({ facts }: { readonly facts: ConsoleFacts }) {
  if (facts.role === 'inspector') return <Inspector />
  if (facts.role === 'user') return <Portal facts={facts} />
  return <Operator facts={facts} />
}
