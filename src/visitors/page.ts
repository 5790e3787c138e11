import type { OwnAnswer, VisitorRequest } from '../outer/access/visitor-check.ts'

/** A request for a page of the gateway, with all of its body. */
export interface PageCall extends VisitorRequest {
  readonly body: Buffer
  /** Of the query. A name that stands twice is no parameter. */
  readonly parameters: ReadonlyMap<string, string>
}

/** A page of the gateway itself. */
export interface Page {
  /** On the auth host; on every host with logins, below `/.sg/`; on the host of the API of a service, in between its own paths. */
  readonly place: 'auth' | 'target' | 'api'
  /** Compared exactly, such as `/login` or `/.sg/session`; `*` for its last part or the one before stands for any one part. */
  readonly path: string
  readonly method: 'GET' | 'POST'
  /** Bytes of a body, at most; absent: none is taken. */
  readonly maxBodyBytes?: number
  /** A throw is a fault of ours: what clients send wrong is answered. */
  answer(call: PageCall): OwnAnswer | Promise<OwnAnswer>
}
