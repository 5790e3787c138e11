/** Writes targets.schema.json from the schema in src/config/schema.ts: `node --import tsx scripts/targets-schema.ts`. */
import { writeFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'
import { targetsJsonSchema } from '../src/config/json-schema.ts'

const file = new URL('../targets.schema.json', import.meta.url)
const options = await resolveConfig(file)
await writeFile(file, await format(JSON.stringify(targetsJsonSchema()), { ...options, parser: 'json' }))
