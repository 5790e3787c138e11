import type { Account, AccountLimits } from '../../src/client/wire.ts'
import { formatSize, parseSize } from '../../src/units/sizes.ts'
import { ApiFault } from '../api/client.ts'
import { Dialog } from '../ui/dialog.tsx'
import { Field, Form, textOf } from '../ui/form.tsx'
import { count } from '../ui/format.ts'
import { v1 } from './v1.ts'

type NumberLimit = Exclude<
  { [Name in keyof AccountLimits]: AccountLimits[Name] extends number | undefined ? Name : never }[keyof AccountLimits],
  undefined
>
type Right = Exclude<keyof AccountLimits, NumberLimit>

const NUMBERS: readonly (readonly [Exclude<NumberLimit, 'bytesPerDay'>, string])[] = [
  ['http', 'Sockets of type http and https'],
  ['tcp', 'Sockets of type tcp and tls'],
  ['tunnels', 'Tunnels of each socket'],
  ['logWatchers', 'Watchers of logs at a time'],
  ['creationsPerHour', 'Sockets made in an hour'],
  ['requestsPerSecond', 'Requests per second to each socket'],
  ['concurrency', 'Requests at a time to each socket'],
  ['maxConnections', 'TCP connections at a time to each socket'],
]
const BYTES = 'Bytes in a day, of all sockets together'
const RIGHTS: readonly (readonly [Right, string])[] = [
  ['interstitial', 'Page of the gateway before the first visit'],
  ['vanity', 'May choose the names of its sockets'],
  ['customDomains', 'May serve host names of its own'],
]

const CHOICES = [
  ['', 'as the service has it'],
  ['yes', 'yes'],
  ['no', 'no'],
] as const

const yesOrNo = (value: boolean | undefined): string => (value === true ? 'yes' : 'no')
const bytesPerDay = (value: number | undefined): string => (value === undefined || value === 0 ? 'any' : formatSize(value))

/** Limits with what counts, as people read them. */
export const limitsInWords = (limits: AccountLimits): readonly (readonly [string, string])[] => [
  ...NUMBERS.map(([name, label]) => [label, limits[name] === undefined ? '–' : count(limits[name])] as const),
  [BYTES, bytesPerDay(limits.bytesPerDay)],
  ...RIGHTS.map(([name, label]) => [label, yesOrNo(limits[name])] as const),
]

/** @throws ApiFault with what to type instead */
function limitsOf(form: FormData): AccountLimits {
  const limits: { -readonly [Name in keyof AccountLimits]: AccountLimits[Name] } = {}
  for (const [name] of NUMBERS) if (textOf(form, name) !== '') limits[name] = Number(textOf(form, name))
  const bytes = textOf(form, 'bytesPerDay').replaceAll(' ', '')
  if (bytes !== '') {
    const size = bytes.toLowerCase() === 'any' ? 0 : parseSize(bytes)
    if (size === undefined)
      throw new ApiFault('INVALID', `${BYTES}: this is no size.`, 'Give a number with a unit, such as 10GiB, or the word any.')
    limits.bytesPerDay = size
  }
  for (const [name] of RIGHTS) if (textOf(form, name) !== '') limits[name] = textOf(form, name) === 'yes'
  return limits
}

/** Properties of the dialog. */
export interface AccountLimitsProps {
  readonly account: Account
  readonly onClose: () => void
  readonly onDone: () => void
}

/** The limits of one account: what is left empty is what the service gives everybody. */
export function EditLimits({ account, onClose, onDone }: AccountLimitsProps) {
  const { limits, limitsInForce } = account
  return (
    <Dialog title={`Limits of ${account.email}`} onClose={onClose}>
      <Form
        verb="Save"
        act={async form => v1('PUT', `admin/accounts/${encodeURIComponent(account.id)}/limits`, { body: limitsOf(form) })}
        onDone={() => {
          onClose()
          onDone()
        }}
        onCancel={onClose}
      >
        <p class="dim">What is left empty is the limit of the service. They are in force at once.</p>
        {NUMBERS.map(([name, label]) => (
          <Field
            key={name}
            label={label}
            name={name}
            type="number"
            value={limits[name]?.toString() ?? ''}
            hint={`now ${count(limitsInForce[name] ?? 0)}`}
          />
        ))}
        <Field
          label={BYTES}
          name="bytesPerDay"
          value={limits.bytesPerDay === undefined ? '' : bytesPerDay(limits.bytesPerDay)}
          hint={`such as 10GiB, or any; now ${bytesPerDay(limitsInForce.bytesPerDay)}`}
        />
        {RIGHTS.map(([name, label]) => (
          <label key={name} class="field">
            {label}
            <select name={name}>
              {CHOICES.map(([value, text]) => (
                <option key={value} value={value} selected={value === (limits[name] === undefined ? '' : yesOrNo(limits[name]))}>
                  {text}
                </option>
              ))}
            </select>
            <small>{`now ${yesOrNo(limitsInForce[name])}`}</small>
          </label>
        ))}
      </Form>
    </Dialog>
  )
}
