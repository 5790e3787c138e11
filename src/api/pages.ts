/** Answers that are no calls: pages behind the links of mails, the OpenAPI document, the files that the old client downloads. */
import { createHash } from 'node:crypto'
import { open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Express, Response } from 'express'
import { GatewayError } from '../errors.ts'
import type { ApiFacts } from './api-options.ts'
import { swagger } from './swagger.ts'

/** Written by scripts/openapi.ts; beside src/ and dist/ alike. */
const DOCUMENT = new URL('../../docs/openapi.json', import.meta.url)

/** Adds the OpenAPI document, and what tools of 2021 read instead. */
export function openApiPages(app: Express): void {
  const old = swagger()
  app.get('/swagger.json', (_req, res) => void res.json(old))
  app.get('/api/v1/openapi.json', async (_req, res) => {
    res.type('json').send(await readFile(DOCUMENT, 'utf8'))
  })
}

const PLATFORM = /^[a-z0-9]{1,20}_[a-z0-9]{1,20}$/
const PROGRAMS = ['mysocketctl', 'mysocketctl.exe'] as const
const SUM = 'sha256-checksum.txt'
const FILES: ReadonlySet<string> = new Set([SUM, ...PROGRAMS])

/** Sums of programs, made once for each state of a file: whoever asks again costs nothing. */
class Sums {
  readonly #known = new Map<string, { readonly state: string; readonly sum: Promise<string> }>()

  /** SHA-256 of a file, in hexadecimal; undefined: there is none. */
  async of(file: string): Promise<string | undefined> {
    const found = await stat(file).catch(() => undefined)
    if (found?.isFile() !== true) return undefined
    const state = `${found.size} ${found.mtimeMs} ${found.ino}`
    const known = this.#known.get(file)
    if (known?.state === state) return known.sum
    const sum = sumOf(file)
    this.#known.set(file, { state, sum })
    sum.catch(() => this.#known.delete(file))
    return sum
  }
}

async function sumOf(file: string): Promise<string> {
  const hash = createHash('sha256')
  const handle = await open(file)
  // The stream closes the file, also when reading fails.
  for await (const bytes of handle.createReadStream()) hash.update(bytes as Buffer)
  return hash.digest('hex')
}

/**
 * Adds what the client of 2021 asks its download host for: `login` fails without the first one, `version upgrade` without the others.
 * @param folder  with OS_ARCH/mysocketctl; a sum beside it that its publisher has made is served as it is, and made here where there is none
 */
export function downloadPages(app: Express, { clientVersion }: Pick<ApiFacts, 'clientVersion'>, folder: () => string | undefined): void {
  const sums = new Sums()
  app.get('/latest_version.txt', (_req, res) => {
    const version = clientVersion()
    if (version === undefined) throw new GatewayError('NOT_FOUND', 'no client version is configured')
    res.type('text').send(`${version}\n`)
  })
  app.get('/:platform/:file', async (req, res, next) => {
    const { platform, file } = req.params
    const root = folder()
    if (root === undefined || !PLATFORM.test(platform) || !FILES.has(file)) return next()
    if (file === SUM && (await stat(join(root, platform, SUM)).catch(() => undefined)) === undefined) {
      for (const program of PROGRAMS) {
        const sum = await sums.of(join(root, platform, program))
        if (sum !== undefined) return void res.type('text').send(`${sum}\n`)
      }
      throw new GatewayError('NOT_FOUND', 'no such file')
    }
    res.removeHeader('Cache-Control')
    // Relative to the folder, whose own path may have hidden folders in it.
    res.sendFile(`${platform}/${file}`, { root, dotfiles: 'deny', cacheControl: false }, error => {
      if (error && !res.headersSent) next(new GatewayError('NOT_FOUND', 'no such file'))
    })
  })
}

interface FormPage {
  readonly title: string
  readonly text: string
  /** Name of the member → label, type and autocomplete of its input. */
  readonly inputs: Readonly<Record<string, readonly [label: string, type: string, autocomplete: string]>>
  readonly action: string
  readonly done: string
}

const INVITATION: FormPage = {
  title: 'Your account',
  text: 'You were invited. Choose a name and a password.',
  inputs: { name: ['Name', 'text', 'name'], password: ['Password', 'password', 'new-password'] },
  action: '/api/v1/invitations/accept',
  done: 'Your account is ready. Log in with: socket-gateway login',
}
const PASSWORD: FormPage = {
  title: 'New password',
  text: 'Choose a new password. Every login of the account ends.',
  inputs: { password: ['Password', 'password', 'new-password'] },
  action: '/api/v1/password-reset/confirm',
  done: 'The password was changed. Log in with: socket-gateway login',
}

/** Sends the form as JSON with the token behind the # of the URL, which no server and no log ever gets. */
const SCRIPT = `
const form = document.querySelector('form'), said = document.querySelector('output')
form.addEventListener('submit', async event => {
  event.preventDefault()
  const body = JSON.stringify({ token: location.hash.slice(1), ...Object.fromEntries(new FormData(form)) })
  try {
    const answer = await fetch(form.dataset.action, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body })
    if (answer.ok) { form.remove(); said.textContent = said.dataset.done; history.replaceState(null, '', location.pathname) }
    else said.textContent = (await answer.json()).error_message
  } catch { said.textContent = 'The service did not answer; try again shortly.' }
})
`
const STYLE = `body{font:1.1rem/1.5 system-ui,sans-serif;max-width:30rem;margin:3rem auto;padding:0 1rem}label{display:block;margin:1rem 0}
input,button{font:inherit;display:block;width:100%;box-sizing:border-box;padding:.4rem}:root{color-scheme:light dark}`

const digest = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const POLICY = `default-src 'none'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'; script-src ${digest(SCRIPT)}; style-src ${digest(STYLE)}`

const html = ({ title, text, inputs, action, done }: FormPage): string => `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><style>${STYLE}</style></head>
<body><h1>${title}</h1><p>${text}</p><form data-action="${action}">${Object.entries(inputs)
  .map(
    ([name, [label, type, autocomplete]]) =>
      `<label>${label}<input name="${name}" type="${type}" autocomplete="${autocomplete}" required></label>`,
  )
  .join('')}<button>Send</button></form><output data-done="${done}"></output><noscript>This page needs JavaScript.</noscript>
<script>${SCRIPT}</script></body></html>
`

/** Adds the pages behind links of invitations and of forgotten passwords. */
export function formPages(app: Express): void {
  const send = (res: Response, page: string): void => {
    res.setHeader('Content-Security-Policy', POLICY)
    res.type('html').send(page)
  }
  const [invitation, password] = [html(INVITATION), html(PASSWORD)]
  app.get('/invitation', (_req, res) => send(res, invitation))
  app.get('/password', (_req, res) => send(res, password))
}
