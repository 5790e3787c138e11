import type { Log } from '../telemetry/log.ts'

/** The same log, in which what is worth an `info` elsewhere is a detail: for parts that nobody looks after on their own. */
export const quietLog = (log: Log): Log => ({
  format: log.format,
  color: log.color,
  debug: (fields, message) => log.debug(fields, message),
  info: (fields, message) => log.debug(fields, message),
  warn: (fields, message) => log.warn(fields, message),
  error: (fields, message) => log.error(fields, message),
  child: fields => quietLog(log.child(fields)),
  isEnabled: level => log.isEnabled(level === 'info' ? 'debug' : level),
  write: lines => log.write(lines),
  flush: () => log.flush(),
})
