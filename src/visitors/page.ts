import type { OwnAnswer, VisitorRequest } from '../outer/access/visitor-check.ts'

/** A request for a page of the gateway, with all of its body. */
export interface PageCall extends VisitorRequest {
  readonly body: Buffer
  /** Of the query. A name that stands twice is no parameter. */
  readonly parameters: ReadonlyMap<string, string>
}

/** A page of the gateway itself. */
export interface Page {
  /** On the auth host, or on every host with logins, below `/.sg/`. */
  readonly place: 'auth' | 'target'
  /** Compared exactly, such as `/login` or `/.sg/session`; with `*` for its last part, everything that is in no other folder. */
  readonly path: string
  readonly method: 'GET' | 'POST'
  /** Bytes of a body, at most; absent: none is taken. */
  readonly maxBodyBytes?: number
  /** A throw is a fault of ours: what clients send wrong is answered. */
  answer(call: PageCall): OwnAnswer | Promise<OwnAnswer>
}
