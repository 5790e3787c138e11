import { LOG_FORMATS, LOG_LEVELS } from '../../telemetry/log-levels.ts'
import type { CliContext } from './context.ts'
import { choice, duration, FILE, integer, optional, size, withDefault, type OptionTable, type ValuesOf } from './option.ts'

/** Exit status: 0 fine, 1 failure, 2 usage. */
export type ExitStatus = 0 | 1 | 2

/** An argument without dashes. */
export interface Positional {
  readonly name: string
  readonly describe: string
  /** May it be left out? Only those behind it may be, too. */
  readonly isOptional?: boolean
}

/** A command with its types: what it is called, takes and does. */
export interface CommandSpec<Table extends OptionTable> {
  /** One to three words. */
  readonly words: readonly [string, ...string[]]
  /** Other names for a command of one word. */
  readonly aliases?: readonly string[]
  readonly describe: string
  readonly options: Table
  /** Headings of --help, each with the names of its options; what is in none comes last. */
  readonly groups?: Readonly<Record<string, readonly string[]>>
  readonly positionals?: readonly Positional[]
  /** Arguments behind those, as many as there are. */
  readonly rest?: Positional
  readonly examples?: readonly (readonly [string, string])[]
  /** Not in --help and not suggested: for processes that the program starts by itself. */
  readonly isHidden?: boolean
  /** Its options are taken from the command line alone: for commands that nobody deploys. */
  readonly flagsOnly?: boolean
  /** Reads the arguments behind its word itself, instead of `run`: for a command line that is another program's. */
  readonly raw?: (argv: readonly string[], context: CliContext) => Promise<ExitStatus>
  /** Loads what the command needs and runs it; `--help` of one command must not load the others. */
  readonly run: (
    values: ValuesOf<Table>,
    args: Readonly<Record<string, string>>,
    context: CliContext,
    rest: readonly string[],
  ) => Promise<ExitStatus>
}

/** A command whose types have been forgotten, for the table of all commands. */
export type Command = Omit<CommandSpec<OptionTable>, 'run'> & {
  run(
    values: Readonly<Record<string, unknown>>,
    args: Readonly<Record<string, string>>,
    context: CliContext,
    rest: readonly string[],
  ): Promise<ExitStatus>
}

/** Declares a command: the values that `run` gets follow from the options. */
export const defineCommand = <Table extends OptionTable>(spec: CommandSpec<Table>): Command => ({
  ...spec,
  run: (values, args, context, rest) => spec.run(values as ValuesOf<Table>, args, context, rest),
})

const DAY_MS = 86_400_000

/** Options of every command that runs until it is stopped. */
export const serviceOptions = {
  'drain-timeout': withDefault(duration(1), 30_000, {
    describe: 'Time that requests in flight get to finish when the process is asked to end',
  }),
  'log-level': withDefault(choice(LOG_LEVELS), 'info', { describe: `How much is logged: ${LOG_LEVELS.join(', ')}` }),
  'log-format': optional(choice(LOG_FORMATS), {
    describe: 'Log lines for people (pretty) or machines (json)',
    defaultText: 'pretty on a terminal, else json',
  }),
  'log-file': optional(FILE, { describe: 'File for the log', defaultText: 'standard output' }),
  'log-max-size': withDefault(size(1), 100 * 1024 * 1024, {
    describe: 'Size at which the log goes into a new file, in bytes or with a unit: 100MiB',
  }),
  'log-max-age': withDefault(duration(1_000, 1_000_000 * DAY_MS), DAY_MS, {
    describe: 'Age at which the log goes into a new file: 30m, 12h, 7d',
  }),
  'log-max-files': withDefault(integer(0, 10_000), 7, { describe: 'Old log files that are kept' }),
} as const
