import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { asFault, type ApiFault } from '../api/client.ts'
import { Fault } from './fault.tsx'

/** Properties of a form that is one call of the API. */
export interface FormProps {
  /** The word on the button. */
  readonly verb: string
  readonly act: (form: FormData) => Promise<unknown>
  readonly onDone?: (result: unknown) => void
  readonly onCancel?: () => void
  readonly children?: ComponentChildren
}

/** Fields, a button, and why it failed. */
export function Form({ verb, act, onDone, onCancel, children }: FormProps) {
  const [isBusy, setBusy] = useState(false)
  const [fault, setFault] = useState<ApiFault | undefined>()
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault()
    const form = event.currentTarget as HTMLFormElement
    setBusy(true)
    setFault(undefined)
    try {
      const result = await act(new FormData(form))
      form.reset()
      onDone?.(result)
    } catch (error) {
      setFault(asFault(error))
    }
    setBusy(false)
  }
  return (
    <form class="form" onSubmit={event => void submit(event)}>
      {children}
      {fault !== undefined && <Fault fault={fault} />}
      <div class="buttons">
        <button type="submit" class="main" disabled={isBusy}>
          {verb}
        </button>
        {onCancel !== undefined && (
          <button type="button" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  )
}

/** Properties of a field. */
export interface FieldProps {
  readonly label: string
  readonly name: string
  readonly type?: 'text' | 'email' | 'password' | 'number'
  readonly value?: string
  readonly hint?: string
  readonly isRequired?: boolean
  readonly autocomplete?: string
}

/** A field with its label. */
export function Field({ label, name, type = 'text', value, hint, isRequired = false, autocomplete = 'off' }: FieldProps) {
  return (
    <label class="field">
      {label}
      <input name={name} {...({ type } as { type: 'text' })} defaultValue={value ?? ''} required={isRequired} autocomplete={autocomplete} />
      {hint !== undefined && <small>{hint}</small>}
    </label>
  )
}

/** The text of a field, without spaces around it. */
export const textOf = (form: FormData, name: string): string => {
  const value = form.get(name)
  return typeof value === 'string' ? value.trim() : ''
}

/** The words of a field, between commas or spaces. */
export const wordsOf = (form: FormData, name: string): string[] =>
  textOf(form, name)
    .split(/[\s,]+/)
    .filter(word => word !== '')
