/** Writes docs/openapi.json from the operations of the API: `node --import tsx scripts/openapi.ts`. */
import { writeFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'
import { createDocument, type ZodOpenApiObject } from 'zod-openapi'
import { OPERATIONS } from '../src/api/api.ts'
import { openApiOf } from '../src/api/open-api.ts'

const file = new URL('../docs/openapi.json', import.meta.url)
const options = await resolveConfig(file)
const document = createDocument(openApiOf(OPERATIONS) as unknown as ZodOpenApiObject)
await writeFile(file, await format(JSON.stringify(document), { ...options, parser: 'json' }))
