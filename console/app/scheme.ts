import { useEffect, useState } from 'preact/hooks'

/** Light, dark, or as the system says. */
export type Scheme = 'system' | 'light' | 'dark'

const KEY = 'socket-gateway-scheme'
const CHANGED = 'console-scheme'

/** The choice that was made in this browser. */
export function savedScheme(): Scheme {
  try {
    const saved = localStorage.getItem(KEY)
    return saved === 'light' || saved === 'dark' ? saved : 'system'
  } catch {
    return 'system' // storage is forbidden
  }
}

/** Puts a choice into force and keeps it. */
export function setScheme(scheme: Scheme): void {
  try {
    localStorage.setItem(KEY, scheme)
  } catch {
    // Then it holds for this page only.
  }
  applyScheme(scheme)
  window.dispatchEvent(new Event(CHANGED))
}

/** Tells the style sheet. */
export function applyScheme(scheme: Scheme): void {
  if (scheme === 'system') delete document.documentElement.dataset['scheme']
  else document.documentElement.dataset['scheme'] = scheme
}

/** The scheme in force, `light` or `dark`; follows choice and system. */
export function useScheme(): string {
  const [value, setValue] = useState(currentScheme)
  useEffect(() => {
    const media = matchMedia('(prefers-color-scheme: dark)')
    const follow = (): void => setValue(currentScheme())
    media.addEventListener('change', follow)
    window.addEventListener(CHANGED, follow)
    return () => {
      media.removeEventListener('change', follow)
      window.removeEventListener(CHANGED, follow)
    }
  }, [])
  return value
}

function currentScheme(): string {
  const saved = savedScheme()
  if (saved !== 'system') return saved
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light'
}
