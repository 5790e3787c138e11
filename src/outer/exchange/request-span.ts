import { loggedPath } from '../../http/logged-path.ts'
import type { AccessRecord } from '../../telemetry/access-log.ts'
import type { SpanEnd, SpanStart } from '../../telemetry/tracing.ts'
import type { EdgeRequest } from './edge-request.ts'

/** The attributes of a span when its request begins. */
export const spanOf = ({ method, fields, target }: EdgeRequest['request']): SpanStart => ({
  method,
  fields,
  attributes: { 'url.path': loggedPath(target) },
})

/** The attributes of a span when its request is over. */
export const spanAttributes = ({ host, client, target, identifier, requestId }: AccessRecord): NonNullable<SpanEnd['attributes']> => ({
  'server.address': host,
  'client.address': client,
  'http.route': target,
  'socket_gateway.inner_layer': identifier,
  'socket_gateway.request_id': requestId,
})
