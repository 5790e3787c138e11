import type { ConsoleFacts } from '../../src/console/console-files.ts'

/** The facts that the server has written into the page. */
export function readFacts(): ConsoleFacts {
  const text = document.querySelector<HTMLMetaElement>('meta[name=socket-gateway]')?.content ?? ''
  try {
    return JSON.parse(text) as ConsoleFacts
  } catch {
    return { role: 'operator', features: [] }
  }
}
