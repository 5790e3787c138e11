import type { OwnAnswer, OwnPage, VisitorRequest } from '../../outer/access/visitor-check.ts'
import { parametersOf } from '../fields.ts'
import type { Page, PageCall } from '../page.ts'

/** The answers that own pages need of whoever draws them. */
export interface MissingPage {
  /** There is no page here, or none for this method. */
  missing(request: VisitorRequest, allowed: readonly string[]): OwnAnswer
}

/** The pages of the gateway itself, by place, path and method. */
export class OwnPages {
  readonly #pages = new Map<string, Map<string, Page>>()

  constructor(
    pages: readonly Page[],
    private readonly otherwise: MissingPage,
  ) {
    for (const page of pages) {
      const key = `${page.place} ${page.path}`
      const methods = this.#pages.get(key) ?? new Map<string, Page>()
      methods.set(page.method, page)
      this.#pages.set(key, methods)
    }
  }

  /** Is a page here, for any method? */
  has(place: Page['place'], path: string): boolean {
    return this.#methodsOf(place, path) !== undefined
  }

  pageFor(request: VisitorRequest, place: Page['place']): OwnPage {
    const { method } = request.request
    const methods = this.#methodsOf(place, request.path)
    const page = methods?.get(method === 'HEAD' ? 'GET' : method)
    if (page === undefined) return { maxBodyBytes: 0, answer: () => this.otherwise.missing(request, [...(methods?.keys() ?? [])]) }
    return { maxBodyBytes: page.maxBodyBytes ?? 0, answer: body => page.answer(callOf(request, body)) }
  }

  #methodsOf(place: Page['place'], path: string): ReadonlyMap<string, Page> | undefined {
    const last = path.lastIndexOf('/')
    const before = path.lastIndexOf('/', last - 1)
    return (
      this.#pages.get(`${place} ${path}`) ??
      this.#pages.get(`${place} ${path.slice(0, last + 1)}*`) ??
      (before < 0 ? undefined : this.#pages.get(`${place} ${path.slice(0, before + 1)}*${path.slice(last)}`))
    )
  }
}

const callOf = (request: VisitorRequest, body: Buffer): PageCall => ({ ...request, body, parameters: parametersOf(request.query) })
