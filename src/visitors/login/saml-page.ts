import type { OwnAnswer } from '../../outer/access/visitor-check.ts'
import type { SamlKeys, VisitorsConfig } from '../config.ts'
import type { Page, PageCall } from '../page.ts'

const POST = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST'
const REDIRECT = 'urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect'

/** `/saml/NAME` of the auth host: what an identity provider has to know of this gateway (SAML Metadata §2.4.4). */
export const samlPage = (config: () => VisitorsConfig, missing: (call: PageCall) => OwnAnswer): Page => ({
  place: 'auth',
  path: '/saml/*',
  method: 'GET',
  answer: call => {
    const name = call.path.slice('/saml/'.length)
    const { authUrl, providers } = config()
    const saml = providers.get(name)?.saml
    if (saml === undefined) return missing(call)
    const body = `<?xml version="1.0" encoding="UTF-8"?>
<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="${escape(saml.entityId)}">
  <SPSSODescriptor AuthnRequestsSigned="${saml.keys !== undefined}" WantAssertionsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
${saml.keys === undefined ? '' : keyDescriptor(saml.keys)}${[REDIRECT, POST].map(binding => logoutService(binding, `${escape(authUrl)}/saml/${name}/logout`)).join('')}    <AssertionConsumerService index="0" isDefault="true" Binding="${POST}" Location="${escape(authUrl)}/callback/${name}"/>
  </SPSSODescriptor>
</EntityDescriptor>
`
    return {
      status: 200,
      fields: [
        ...['Content-Type', 'application/samlmetadata+xml', 'Content-Length', String(Buffer.byteLength(body))],
        ...['Cache-Control', 'public, max-age=300', 'X-Content-Type-Options', 'nosniff'],
      ],
      body,
    }
  },
})

const logoutService = (binding: string, url: string): string => `    <SingleLogoutService Binding="${binding}" Location="${url}"/>
`

/** For both uses (SAML Metadata §2.4.1.1). */
const keyDescriptor = ({ certificate }: SamlKeys): string => `    <KeyDescriptor>
      <KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>${certificate}</X509Certificate></X509Data></KeyInfo>
    </KeyDescriptor>
`

const escape = (text: string): string => text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
