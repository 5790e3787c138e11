import { hostname } from 'node:os'
import { GatewayError } from '../../errors.ts'
import { proxyFor } from '../../net/http-proxy.ts'
import { silentLog } from '../../telemetry/log.ts'
import { colorsOf, printable } from '../../telemetry/pretty.ts'
import type { ExitStatus } from '../command/command.ts'
import { hasColor, type CliContext } from '../command/context.ts'
import { afterJoining } from '../command/joined.ts'
import type { doctorOptions } from './doctor-options.ts'
import type { ValuesOf } from '../command/option.ts'
import { createTlsPorts } from '../options/tls.ts'
import type { Finding } from './finding.ts'
import { checkAcme, orderedCertificates } from './acme-check.ts'
import { checkInner } from './inner-checks.ts'
import { checkLogFile } from './log-check.ts'
import { checkOuter } from './outer-checks.ts'
import type { ListeningPort } from './port-checks.ts'

type DoctorValues = ValuesOf<typeof doctorOptions>

/**
 * `doctor`: checks one after the other what a layer with these options needs, one line each.
 * @returns 0 when nothing has failed, 1 otherwise
 * @throws GatewayError USAGE when no option says which layer is meant
 */
export async function runDoctor(given: DoctorValues, context: CliContext): Promise<ExitStatus> {
  const values = await afterJoining(given)
  const isInner = values['outer-layer'].length > 0 || values['private-key'] !== undefined || values.origin.length > 0
  const isOuter =
    values['public-key'].length > 0 ||
    (values['tls-for'].length === 0 && (values.targets !== undefined || values.target.length > 0)) ||
    values.invite.length > 0
  if (!isInner && !isOuter)
    throw new GatewayError(
      'USAGE',
      'doctor checks what a layer would be started with: give the options of inner-layer (such as --outer-layer, --join) or of outer-layer (such as --targets, --invite), or their file with --config',
    )
  const findings: Finding[] = []
  const print = printerOf(context)
  const checks = [
    isInner ? checkInner(innerFactsOf(values, context)) : [],
    isOuter ? checkOuter(outerFactsOf(values, await orderedCertificates(values))) : [],
    isOuter ? checkAcme(values) : [],
    values['log-file'] === undefined ? [] : [checkLogFile(values['log-file'])],
  ]
  for (const each of checks) {
    for await (const finding of each) {
      findings.push(finding)
      // Each at once: the next one may wait for a firewall.
      if (!values.json) print(finding)
    }
  }
  if (values.json) context.stdout.write(`${JSON.stringify(findings, null, 2)}\n`)
  return findings.some(({ result }) => result === 'FAIL') ? 1 : 0
}

function printerOf({ stdout, env }: CliContext): (finding: Finding) => void {
  const colors = colorsOf(hasColor(stdout, env))
  const paint = { ok: colors.green, warn: colors.yellow, FAIL: colors.red }
  return ({ result, check, detail, remedy }) => {
    const advice = remedy === undefined ? '' : `; ${remedy}`
    stdout.write(`${paint[result](result.padEnd(4))}  ${check.padEnd(12)}  ${printable(`${detail}${advice}`)}\n`)
  }
}

const innerFactsOf = (values: DoctorValues, { env }: CliContext): Parameters<typeof checkInner>[0] => ({
  privateKey: values['private-key'],
  outerLayers: [...new Set(values['outer-layer'])],
  identifier: values.identifier ?? hostname(),
  isIdentifierDefault: values.identifier === undefined,
  ca: values['outer-layer-ca'],
  certificate: values['inner-layer-certificate'],
  isInsecureAllowed: values.insecure,
  proxyFor: url => values.proxy ?? proxyFor(url, env),
  allow: values.allow,
  origins: values.origin,
})

/** @param ordered  folder with certificates that were ordered */
function outerFactsOf(values: DoctorValues, ordered: string | undefined): Parameters<typeof checkOuter>[0] {
  const ports: ListeningPort[] = [
    { option: 'app-port', port: values['app-port'], host: values['app-host'] },
    { option: 'socket-port', port: values['socket-port'], host: values['socket-host'] },
  ]
  const admin = values['admin-port']
  const http = values['app-http-port']
  if (http !== undefined) ports.push({ option: 'app-http-port', port: http, host: values['app-host'] })
  if (admin !== 'none') ports.push({ option: 'admin-port', port: admin, host: values['admin-host'] })
  const certificates = [...values['tls-certificate'], ...(ordered === undefined ? [] : [ordered])]
  return {
    publicKeys: values['public-key'],
    targets: values.targets,
    namedTargets: values.target.length,
    isByInvitation: values.invite.length > 0,
    linkNames: values['link-name'],
    ports,
    hasCertificate: values['tls-certificate'].length > 0 || values.acme !== undefined,
    socketPort: values['socket-port'],
    admin: admin === 'none' || admin === 0 ? undefined : `http://127.0.0.1:${admin}/`,
    certificates: () => createTlsPorts({ ...values, 'tls-certificate': certificates }, silentLog),
  }
}
