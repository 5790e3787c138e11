import { Shell } from '../app/shell.tsx'
import { REQUEST_PAGES } from './pages.tsx'

/** The console of an inspector that has a port of its own: requests, and nothing else. */
export function Inspector() {
  return <Shell pages={REQUEST_PAGES} state="inspector" />
}
