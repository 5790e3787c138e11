import type { ComponentChildren } from 'preact'
import { useEffect, useId, useRef, useState } from 'preact/hooks'
import { asFault, type ApiFault } from '../api/client.ts'
import { Fault } from './fault.tsx'

/** Properties of a dialog. */
export interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ComponentChildren
  readonly isWide?: boolean
}

/** A dialog over the page. Escape closes it; the focus goes back to where it was. */
export function Dialog({ title, onClose, children, isWide }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = element.current!
    const before = document.activeElement
    dialog.showModal()
    dialog.querySelector<HTMLElement>('[data-first]')?.focus()
    return () => {
      dialog.close()
      // The browser does so only for a dialog that is still on the page.
      if (before instanceof HTMLElement) before.focus({ preventScroll: true })
    }
  }, [])
  return (
    <dialog
      ref={element}
      class={isWide === true ? 'wide' : ''}
      aria-labelledby={id}
      onCancel={event => {
        event.preventDefault()
        onClose()
      }}
      onClick={event => {
        if (event.target === element.current) onClose()
      }}
    >
      <div class="dialog-box">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  )
}

/** Something dangerous that somebody is about to do. */
export interface Question {
  readonly title: string
  /** The consequences, with those that cannot be undone. */
  readonly text: ComponentChildren
  /** The verb of the button. */
  readonly verb: string
  readonly act: () => Promise<unknown>
  readonly onDone?: () => void
}

/** Asks before something dangerous is done, and shows why it failed. */
export function Confirm({ question, onClose }: { readonly question: Question; readonly onClose: () => void }) {
  const [isBusy, setBusy] = useState(false)
  const [fault, setFault] = useState<ApiFault | undefined>()
  const act = async (): Promise<void> => {
    setBusy(true)
    setFault(undefined)
    try {
      await question.act()
      onClose()
      question.onDone?.()
    } catch (error) {
      setFault(asFault(error))
      setBusy(false)
    }
  }
  return (
    <Dialog title={question.title} onClose={onClose}>
      <p>{question.text}</p>
      {fault !== undefined && <Fault fault={fault} />}
      <div class="buttons">
        <button type="button" data-first onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="danger" disabled={isBusy} onClick={() => void act()}>
          {question.verb}
        </button>
      </div>
    </Dialog>
  )
}

/** Keeps the question that is open. @returns the function that asks, and the dialog */
export function useConfirm(): readonly [(question: Question) => void, ComponentChildren] {
  const [question, setQuestion] = useState<Question | undefined>()
  return [setQuestion, question === undefined ? null : <Confirm question={question} onClose={() => setQuestion(undefined)} />]
}
