/** The parts of kysely that make something. It is loaded as CommonJS, in one piece: as ES modules it is nearly 300 files, which a start would wait for. */
import type * as KyselyModule from 'kysely'
import { lazily } from '../../lazily.ts'

const kysely = lazily<typeof KyselyModule>('kysely')()

export const {
  CompiledQuery,
  Kysely,
  PostgresAdapter,
  PostgresDriver,
  PostgresIntrospector,
  PostgresQueryCompiler,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
} = kysely
