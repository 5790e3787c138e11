/** `init`: asks what is needed, and writes files that run, each with a word on every line that somebody may want to change. */
import { mkdir } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { bracketed } from '../../address/host-port.ts'
import { parseTargets } from '../../config/targets.ts'
import { parseJoinText } from '../../enrolment/join-text.ts'
import { GatewayError, messageOf } from '../../errors.ts'
import { AllowList } from '../../origin/allow-list.ts'
import type { ExitStatus } from '../command/command.ts'
import type { CliContext } from '../command/context.ts'
import { refuseExisting, writeNewFiles, type NewFile } from '../command/new-files.ts'
import type { ValuesOf } from '../command/option.ts'
import { askFor } from '../command/prompt.ts'
import type { initInnerOptions, initOuterOptions } from '../options/init.ts'
import { composeFile, innerOptionsFile, outerOptionsFile, systemdUnit, targetsFile } from './templates.ts'

const EVERYBODY = 0o644
const OWNER_ONLY = 0o600

const usage = (message: string): GatewayError => new GatewayError('USAGE', message)

/** `init outer`. @throws GatewayError USAGE, FILE_EXISTS */
export async function runInitOuter(values: ValuesOf<typeof initOuterOptions>, context: CliContext): Promise<ExitStatus> {
  const { target, directory, force } = values
  const [host = '', name = '', asked = ''] = await askFor(
    [
      { value: values.host, label: 'Host name of this machine, as others reach it: ', option: '--host' },
      { value: values.name, label: 'Name of the inner layer, such as lan-a: ', option: '--name' },
      { value: target[0], label: 'Public host and its origin, such as api.example.com=http://127.0.0.1:8080: ', option: '--target' },
    ],
    context,
  )
  const url = `wss://${bracketed(host.replace(/^\[|\]$/g, ''))}:${values['socket-port']}`
  if (!URL.canParse(url) || /[\s/@?#]/.test(host))
    throw usage(`--host ${JSON.stringify(host)}: expected a host name or an address, without a port`)
  const targets = targetsFile([asked, ...target.slice(1)], name)
  parseTargets(targets, 'targets.yaml') // what is written has to run
  const folder = resolve(directory)
  await write(
    folder,
    [
      {
        path: 'outer.yaml',
        mode: EVERYBODY,
        text: outerOptionsFile({ name, url, appPort: values['app-port'], socketPort: values['socket-port'] }),
      },
      { path: 'targets.yaml', mode: EVERYBODY, text: targets },
      { path: 'socket-gateway-outer.service', mode: EVERYBODY, text: systemdUnit('outer', folder, userInfo().username) },
      { path: 'compose.yaml', mode: EVERYBODY, text: composeFile('outer', [values['app-port'], values['socket-port']]) },
    ],
    force,
    context,
  )
  context.stdout.write(
    `next, in ${folder}: socket-gateway outer-layer --config outer.yaml; it prints what to type on the machine of "${name}"\n`,
  )
  return 0
}

/** `init inner`. @throws GatewayError USAGE, FILE_EXISTS */
export async function runInitInner(values: ValuesOf<typeof initInnerOptions>, context: CliContext): Promise<ExitStatus> {
  const { allow, directory, force } = values
  const [text = '', first = ''] = await askFor(
    [
      { value: values.join, label: 'What the outer layer has printed (wss://…): ', option: '--join' },
      { value: allow[0], label: 'HOST:PORT that may be reached, such as 127.0.0.1:8080: ', option: '--allow' },
    ],
    context,
  )
  const joinText = text.replace(/^'|'$/g, '')
  parseJoinText(joinText)
  const allowed = [first, ...allow.slice(1)]
  new AllowList(allowed) // throws for what is none
  const folder = resolve(directory)
  await write(
    folder,
    [
      // It has the secret, which counts once.
      { path: 'inner.yaml', mode: OWNER_ONLY, text: innerOptionsFile(joinText, allowed) },
      { path: 'socket-gateway-inner.service', mode: EVERYBODY, text: systemdUnit('inner', folder, userInfo().username) },
      { path: 'compose.yaml', mode: EVERYBODY, text: composeFile('inner', []) },
    ],
    force,
    context,
  )
  context.stdout.write(`next, in ${folder}, within ten minutes of the invitation: socket-gateway inner-layer --config inner.yaml\n`)
  return 0
}

async function write(folder: string, files: readonly NewFile[], force: boolean, { stdout }: CliContext): Promise<void> {
  try {
    await mkdir(folder, { recursive: true })
  } catch (cause) {
    throw new GatewayError('FILE_UNREADABLE', `--directory ${folder}: ${messageOf(cause)}`, { cause })
  }
  const placed = files.map(file => ({ ...file, path: join(folder, file.path) }))
  if (!force) await refuseExisting(placed.map(({ path }) => path))
  await writeNewFiles(placed, force)
  for (const { path } of placed) stdout.write(`wrote ${path}\n`)
}
