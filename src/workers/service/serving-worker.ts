import type { ServiceNews } from './service-news.ts'

/** A worker, as far as the service matters. */
export interface ServingWorker {
  readonly name: string
  /** Asks it. @throws GatewayError as a rejection */
  ask(name: string, value: unknown, withinMs?: number): Promise<unknown>
  tell(news: ServiceNews): void
}
