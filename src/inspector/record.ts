/** Exchanges as programs and pages get to see them: docs/inspector.md. */
export type * from './kept/record.ts'
