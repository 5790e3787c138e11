/** Where chance begins: the same each time, so that a test passes or fails for what it tests. `SEED=2 npx jest …` tries other values. */
export const SEED = Number(process.env['SEED'] ?? 1)
