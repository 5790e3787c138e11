import type { AccessRequestOfVisitor, VisitorAnswer } from '../outer/access/visitor-check.ts'
import type { Rejection } from './lane.ts'

/** The answers for people, who read pages. */
export interface PeopleAnswers {
  /** The way to the login, from a page that wants one; or a page that says why there is none. */
  toLogin(request: AccessRequestOfVisitor): VisitorAnswer
  /** Somebody is not let in, by a page. */
  refused(request: AccessRequestOfVisitor, rejection: Rejection): VisitorAnswer
}
