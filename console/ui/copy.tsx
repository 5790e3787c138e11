import { useState } from 'preact/hooks'

/** A line that one button copies. */
export function CopyLine({ text, label }: { readonly text: string; readonly label: string }) {
  return (
    <div class="copy-line">
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <CopyButton text={() => text} label={`Copy ${label}`} />
    </div>
  )
}

/** Copies a text, and says so. */
export function CopyButton({ text, label, children }: { readonly text: () => string; readonly label: string; readonly children?: string }) {
  const [word, setWord] = useState('')
  const copy = async (): Promise<void> => {
    let isCopied = true
    try {
      await navigator.clipboard.writeText(text())
    } catch {
      isCopied = copyTheOldWay(text())
    }
    setWord(isCopied ? 'Copied' : 'Not allowed')
    setTimeout(setWord, 2000, '')
  }
  return (
    <button type="button" aria-label={label} onClick={() => void copy()}>
      {word === '' ? (children ?? 'Copy') : word}
      <span class="unseen" role="status">
        {word}
      </span>
    </button>
  )
}

/** Pages without TLS have no clipboard, other than on this machine. */
function copyTheOldWay(text: string): boolean {
  const area = document.createElement('textarea')
  area.value = text
  document.body.append(area)
  area.select()
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- there is no other way without TLS
  const isCopied = document.execCommand('copy')
  area.remove()
  return isCopied
}
