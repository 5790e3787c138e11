/** Statements in SQL, for those who write to the store. */
export { sql } from './sqlite/kysely.ts'
