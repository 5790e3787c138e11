import type { ConsoleFacts } from '../../src/console/console-files.ts'
import { Inspector } from '../requests/inspector.tsx'
import { Operator } from '../operator/operator.tsx'

/** The console of whoever the port serves. */
export function App({ facts }: { readonly facts: ConsoleFacts }) {
  if (facts.role === 'inspector') return <Inspector />
  return <Operator facts={facts} />
}
