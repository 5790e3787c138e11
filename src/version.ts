import { readFileSync } from 'node:fs'

/** Release of this program, from its package.json. */
export const VERSION: string = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version

/** Program and release, as told to the peer of a link. */
export const AGENT = `socket-gateway/${VERSION}`
