import type {
  AccountAnswer,
  AccountCredentials,
  CertificateAnswer,
  FromService,
  HolderRequest,
  OperatorAnswer,
  OperatorRequest,
  ToService,
} from './ipc.ts'
import type { CertificatesAnswer, CertificatesRequest } from './kept-certificates.ts'
import { Questions } from './questions.ts'

/** A hash takes a fraction of a second; whatever is not there by then will not come. */
const ANSWER_MS = 10_000

type Send = ((message: ToService) => void) | undefined

/** The answers among its messages. */
type Answered = Extract<FromService, { readonly type: 'who' | 'operated' | 'certified' | 'certificates' }>

/** Questions to the service process: whose credentials something is, for certificates of people whom it need not know, of operators, and for certificates of hosts. */
export class AccountQuestions {
  readonly #who: Questions<AccountAnswer>
  readonly #certificates: Questions<CertificateAnswer>
  readonly #operators: Questions<OperatorAnswer>
  readonly #kept: Questions<CertificatesAnswer>

  constructor(answerMs = ANSWER_MS) {
    this.#who = new Questions<AccountAnswer>(answerMs, why => ({ kind: 'away', why }))
    this.#certificates = new Questions<CertificateAnswer>(answerMs, why => ({ kind: 'away', why }))
    this.#operators = new Questions<OperatorAnswer>(answerMs, why => ({ kind: 'away', why }))
    this.#kept = new Questions<CertificatesAnswer>(answerMs, why => ({ kind: 'away', why }))
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

  /** @param send  as above */
  kept(request: CertificatesRequest, send: Send): Promise<CertificatesAnswer> {
    return this.#kept.ask(send && (id => send({ type: 'certificates', id, request })))
  }

  answered(message: Answered): void {
    switch (message.type) {
      case 'who':
        return this.#who.answered(message.id, message.answer)
      case 'operated':
        return this.#operators.answered(message.id, message.answer)
      case 'certified':
        return this.#certificates.answered(message.id, message.answer)
      case 'certificates':
        return this.#kept.answered(message.id, message.answer)
    }
  }

  /** The process is gone, and its answers with it. */
  gone(): void {
    this.#who.gone()
    this.#certificates.gone()
    this.#operators.gone()
    this.#kept.gone()
  }
}
