/** `--error-pages`: pages of the operator, read once. */
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GatewayError, messageOf } from '../../errors.ts'
import type { OwnErrorPages } from '../../http/errors/error-page.ts'
import { createOwnErrorPages, isErrorPageName, KNOWN_PLACES, unknownPlaceIn } from '../../http/errors/own-error-pages.ts'

/** A page is held in memory, and sent for each error. */
const MAX_BYTES = 262_144
const SUFFIX = '.html'

/** @throws GatewayError FILE_UNREADABLE; CONFIG_INVALID for a name that would never be shown, or a page that is too large */
export async function readErrorPages(folder: string): Promise<OwnErrorPages> {
  try {
    const files = (await readdir(folder)).filter(name => name.endsWith(SUFFIX))
    if (files.length === 0) throw invalid(folder, 'there is no .html file in it')
    return createOwnErrorPages(new Map(await Promise.all(files.map(file => readPage(folder, file)))))
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    throw new GatewayError('FILE_UNREADABLE', `--error-pages ${folder}: ${messageOf(cause)}; give a folder with pages such as 502.html`, {
      cause,
    })
  }
}

async function readPage(folder: string, file: string): Promise<readonly [name: string, text: string]> {
  const name = file.slice(0, -SUFFIX.length)
  if (!isErrorPageName(name))
    throw invalid(
      folder,
      `${file} is for no error; expected CODE.html, such as NO_INNER_LAYER.html, 502.html, 4xx.html, 5xx.html or error.html`,
    )
  const path = join(folder, file)
  if ((await stat(path)).size > MAX_BYTES) throw invalid(folder, `${file} has more than ${MAX_BYTES / 1024} KiB`)
  const text = textOf(await readFile(path))
  if (text === undefined) throw invalid(folder, `${file} is not UTF-8; save it as that, since it is sent as that`)
  const unknown = unknownPlaceIn(text)
  if (unknown !== undefined) throw invalid(folder, `${file}: ${unknown} stands for nothing; there are ${KNOWN_PLACES}`)
  if (text.trim() === '') throw invalid(folder, `${file} is empty`)
  return [name, text]
}

/** Undefined: it is no UTF-8. A mark of the byte order is no part of it. */
function textOf(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

const invalid = (folder: string, message: string): GatewayError => new GatewayError('CONFIG_INVALID', `--error-pages ${folder}: ${message}`)
