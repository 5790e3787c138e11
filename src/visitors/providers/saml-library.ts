import type * as NodeSaml from '@node-saml/node-saml'
import { GatewayError, messageOf } from '../../errors.ts'

/** An element of XML, as far as it is read here. */
export interface XmlElement {
  getAttribute(name: string): string | null
  readonly textContent: string | null
  readonly localName: string | null
  /** The element as XML. */
  toString(): string
}

/** The reader of XML of the package. */
export interface XmlReader {
  parseDomFromString(text: string): Promise<unknown>
  /** Finds key and content, and gives the text of what was encrypted. */
  decryptXml(text: string, key: string): Promise<string>
  /** The text within an element that its signature is for; null where it is by none of the certificates, PEM. */
  getVerifiedXml(text: string, element: XmlElement, certificates: readonly string[]): string | null
  readonly xpath: { selectElements(node: unknown, path: string): readonly XmlElement[] }
}

/** The package that knows SAML: its protocol, and its reader of XML. */
export interface SamlLibrary {
  readonly SAML: typeof NodeSaml.SAML
  readonly xml: XmlReader
}

const NAME = '@node-saml/node-saml'

interface Modules {
  readonly main: () => Promise<unknown>
  readonly xml: () => Promise<unknown>
}

const INSTALLED: Modules = { main: () => import('@node-saml/node-saml'), xml: () => import('@node-saml/node-saml/lib/xml.js') }

/** Loads the package, which is an optional one. @throws GatewayError CONFIG_INVALID when it is not there, as a rejection */
export async function loadSaml({ main, xml }: Modules = INSTALLED): Promise<SamlLibrary> {
  try {
    const { SAML } = moduleOf<typeof NodeSaml>(await main())
    return { SAML, xml: moduleOf<XmlReader>(await xml()) }
  } catch (cause) {
    const text = `providers of kind saml need the package ${NAME}, which cannot be loaded (${messageOf(cause)}); install it: npm install ${NAME}@^5.1.0`
    throw new GatewayError('CONFIG_INVALID', text, { cause })
  }
}

/** A module of CommonJS comes as the default of one. */
const moduleOf = <T>(loaded: unknown): T => (loaded as { readonly default?: T }).default ?? (loaded as T)
