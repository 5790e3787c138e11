import type {
  AccountAnswer,
  AccountCredentials,
  CertificateAnswer,
  HolderRequest,
  OperatorAnswer,
  OperatorRequest,
  ToService,
} from './ipc.ts'
import { Questions } from './questions.ts'

/** A hash takes a fraction of a second; whatever is not there by then will not come. */
const ANSWER_MS = 10_000

type Send = ((message: ToService) => void) | undefined

/** Questions to the service process: whose credentials something is, for certificates of people whom it need not know, and of operators. */
export class AccountQuestions {
  readonly #who: Questions<AccountAnswer>
  readonly #certificates: Questions<CertificateAnswer>
  readonly #operators: Questions<OperatorAnswer>

  constructor(answerMs = ANSWER_MS) {
    this.#who = new Questions<AccountAnswer>(answerMs, why => ({ kind: 'away', why }))
    this.#certificates = new Questions<CertificateAnswer>(answerMs, why => ({ kind: 'away', why }))
    this.#operators = new Questions<OperatorAnswer>(answerMs, why => ({ kind: 'away', why }))
  }

  /** @param send  to the process that runs now; undefined: none does */
  ask(credentials: AccountCredentials, send: Send): Promise<AccountAnswer> {
    return this.#who.ask(send && (id => send({ type: 'who', id, credentials })))
  }

  /** @param send  as above */
  certify(request: HolderRequest, send: Send): Promise<CertificateAnswer> {
    return this.#certificates.ask(send && (id => send({ type: 'certify', id, request })))
  }

  /** @param send  as above */
  operate(request: OperatorRequest, send: Send): Promise<OperatorAnswer> {
    return this.#operators.ask(send && (id => send({ type: 'operate', id, request })))
  }

  operated(id: number, answer: OperatorAnswer): void {
    this.#operators.answered(id, answer)
  }

  answered(id: number, answer: AccountAnswer): void {
    this.#who.answered(id, answer)
  }

  certified(id: number, answer: CertificateAnswer): void {
    this.#certificates.answered(id, answer)
  }

  /** The process is gone, and its answers with it. */
  gone(): void {
    this.#who.gone()
    this.#certificates.gone()
    this.#operators.gone()
  }
}
