import type { RefusedWords } from './refused-words.ts'

const FORM = /^[a-z0-9][a-z0-9-]{1,38}[a-z0-9]$/

/** First labels that programs look up by themselves, or that people take for the operator. */
const RESERVED: ReadonlySet<string> = new Set(
  `api auth www www1 www2 web portal ssh sftp link links download downloads admin administrator root mail email smtp imap pop pop3 mx
   mta-sts autoconfig autodiscover wpad isatap localhost localdomain broadcasthost ftp dns ldap kerberos ntp vpn cdn static assets
   console dashboard status help support security abuse postmaster hostmaster webmaster noreply no-reply billing payment payments
   oauth sso idp saml internal gateway socket sockets tunnel tunnels service services staff team official system sysadmin`
    .split(/\s+/)
    .filter(word => word !== ''),
)

/** Names of name servers and mail servers come with a number. */
const NUMBERED = /^(?:ns|mx|dns|smtp|mail|www)\d*$/

/**
 * Says what speaks against a first label that somebody wants for a socket.
 * @param label  in any case
 * @returns a sentence for people; undefined: nothing does
 */
export function faultOfLabel(label: string, refused: RefusedWords): string | undefined {
  const name = label.toLowerCase()
  if (!FORM.test(name)) return 'expected 3 to 40 letters, digits and hyphens, beginning and ending with a letter or digit'
  // RFC 5891 §4.2.3.1: hyphens at the third and fourth place are of A-labels, which look like something else to people.
  if (name.startsWith('--', 2)) return 'two hyphens at the third and fourth place are reserved; choose another label'
  if (RESERVED.has(name) || NUMBERED.test(name)) return `"${name}" is reserved; choose another label`
  const word = refused.find(name)
  return word === undefined ? undefined : `a label with "${word}" in it is refused by this service; choose another one`
}
