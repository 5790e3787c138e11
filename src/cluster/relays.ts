import { GatewayError } from '../errors.ts'
import type { MuxStream, StreamHandler } from '../mux/stream.ts'
import type { InnerConnection } from '../outer/inner-layers/inner-connection.ts'
import type { OriginProfiles } from '../outer/inner-layers/origin-profiles.ts'
import { AnnouncedProfiles, decodeNote } from '../payload/origin-profile.ts'
import { profileIn, replaceProfile } from '../payload/head-codec.ts'
import { decodeRelayHead, isCallHead, type RelayTarget } from '../payload/relay-head.ts'
import { RelayStream } from './relay-stream.ts'

/** Profiles that one node may announce. */
const MAX_PROFILES = 4_096

/** The parts of an outer layer that relaying needs. */
export interface RelaysOptions {
  /** The connection of this node to the process `number` that would get its next stream; undefined: it has none. */
  readonly connectionOf: (number: number) => InnerConnection | undefined
  readonly profiles: Pick<OriginProfiles, 'numberOf' | 'announce'>
  /** Takes a stream in which another node asks this one. @throws GatewayError REFUSED_STREAM */
  readonly takeCall: (stream: MuxStream) => StreamHandler
}

/** The streams that other nodes send through this one. Only connections of this node get them: one hop, never two. */
export class Relays {
  #open = 0
  #count = 0

  constructor(private readonly options: RelaysOptions) {}

  /** Streams that are open. */
  get streamCount(): number {
    return this.#open
  }

  /** Streams that were opened since the start. */
  get total(): number {
    return this.#count
  }

  /** Makes what takes the streams and the notes of one node. */
  serve(): { readonly accept: (payload: Buffer, stream: MuxStream) => StreamHandler; readonly onNote: (payload: Buffer) => void } {
    const announced = new AnnouncedProfiles(MAX_PROFILES)
    return {
      accept: (payload, stream) => (isCallHead(payload) ? this.options.takeCall(stream) : this.#relay(payload, stream, announced)),
      onNote: payload => {
        const note = decodeNote(payload)
        if (note.note === 'profile') announced.take(note)
      },
    }
  }

  #relay(head: Buffer, stream: MuxStream, announced: AnnouncedProfiles): StreamHandler {
    const { payload, ...target } = decodeRelayHead(head)
    const connection = this.options.connectionOf(target.process)
    if (connection === undefined || !isMeant(connection, target))
      throw new GatewayError('REFUSED_STREAM', 'the inner layer has left this node')
    this.#translate(payload, connection, announced)
    this.#count++
    this.#open++
    const relay = new RelayStream(stream, () => {
      this.#open--
    })
    try {
      relay.join(connection.session.open(payload, relay.answer, { end: !stream.isRemoteOpen }))
    } catch (thrown) {
      this.#open--
      throw thrown
    }
    return relay.request
  }

  /** Each session has numbers of its own for profiles: puts ours into the head, which is a part of a message that belongs to us. */
  #translate(payload: Buffer, { session }: InnerConnection, announced: AnnouncedProfiles): void {
    const theirs = profileIn(payload)
    if (theirs === 0) return
    const { profiles } = this.options
    const ours = profiles.numberOf(announced.of(theirs))
    profiles.announce(session, ours)
    if (ours !== theirs) replaceProfile(payload, ours)
  }
}

/** Was the sender told the truth of it? Else somebody gets what is meant for somebody else. */
const isMeant = ({ pool, identifier, instance, isEnrolled = false }: InnerConnection, target: RelayTarget): boolean =>
  identifier === target.identifier &&
  instance === target.instance &&
  (pool === 'tunnel') === target.isTunnel &&
  isEnrolled === target.isEnrolled
