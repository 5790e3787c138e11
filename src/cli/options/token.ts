import { FILE, optional } from '../command/option.ts'

/** Options of `token`. */
export const tokenOptions = {
  file: optional(FILE, {
    describe: 'File to write the token to, readable by its owner only; it is not printed then',
    defaultText: 'printed',
  }),
} as const
