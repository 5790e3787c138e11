import type { ConsoleFacts } from '../../src/console/console-files.ts'
import { Operator } from '../operator/operator.tsx'

/** The console of whoever the port serves. */
export function App({ facts }: { readonly facts: ConsoleFacts }) {
  return <Operator facts={facts} />
}
