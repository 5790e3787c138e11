import type { RequestsAnswer, RequestsChange, RequestsFollowing, RequestsQuestion } from '../directory/socket-requests.ts'
import { FollowedMessages } from './followed-messages.ts'
import type { FromService, ServiceChild } from './ipc.ts'

/** The records of the outer layer, as the service process asks for them. */
export interface RequestSource {
  /** Never rejects. */
  readonly answer: (question: RequestsQuestion) => Promise<RequestsAnswer>
  /** Tells what changes. @returns ends it @throws GatewayError */
  readonly follow: (following: RequestsFollowing, tell: (changes: readonly RequestsChange[]) => void) => () => void
}

const NOT_RECORDED: RequestsAnswer = {
  kind: 'refused',
  code: 'CONFLICT',
  why: 'this gateway does not record requests of sockets; its operator can turn that on: inspect: true in the file of the service',
}
const END: readonly RequestsChange[] = Object.freeze([{ type: 'end' }])

/** Answers what the service process asks about recorded requests, and tells it what it follows. */
export class RecordedRequests {
  readonly #ends = new Map<number, () => void>()
  readonly #messages = new FollowedMessages()

  /** @param source  undefined: nothing is recorded here */
  constructor(private readonly source: RequestSource | undefined) {}

  async answer({ send }: Pick<ServiceChild, 'send'>, { id, question }: Extract<FromService, { readonly type: 'requests' }>): Promise<void> {
    send({ type: 'requests', id, answer: (await this.source?.answer(question)) ?? NOT_RECORDED })
  }

  /** Begins to tell, or tells at once that there is nothing to follow. */
  follow(child: Pick<ServiceChild, 'send'>, { id, following }: Extract<FromService, { readonly type: 'follow' }>): void {
    this.unfollow(id)
    const { tell, close } = this.#messages.open(child, id)
    try {
      if (this.source === undefined) return tell(END)
      const end = this.source.follow(following, tell)
      this.#ends.set(id, () => {
        close()
        end()
      })
    } catch {
      // Its filter was read before, so there are too many who follow.
      tell(END)
    }
  }

  unfollow(id: number): void {
    this.#ends.get(id)?.()
    this.#ends.delete(id)
  }

  /** The process is gone. */
  unfollowAll(): void {
    for (const id of [...this.#ends.keys()]) this.unfollow(id)
  }
}
