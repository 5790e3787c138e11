import { GATEWAY_GROUP, type ReferenceGrant } from './objects.ts'

/** Something that is referred to, of the core group. */
interface Referred {
  readonly kind: 'Service' | 'Secret'
  readonly namespace: string
  readonly name: string
}

/** Does a grant of the namespace of what is referred to let objects of that kind and namespace do so? https://gateway-api.sigs.k8s.io/api-types/referencegrant/ */
export const isGranted = (
  grants: readonly ReferenceGrant[],
  from: { readonly kind: 'HTTPRoute' | 'Gateway'; readonly namespace: string },
  to: Referred,
): boolean =>
  grants.some(
    ({ metadata, spec }) =>
      metadata.namespace === to.namespace &&
      (spec?.from ?? []).some(each => each.group === GATEWAY_GROUP && each.kind === from.kind && each.namespace === from.namespace) &&
      (spec?.to ?? []).some(
        each => (each.group ?? '') === '' && each.kind === to.kind && (each.name === undefined || each.name === to.name),
      ),
  )
