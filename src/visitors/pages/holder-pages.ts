import type { VisitorAnswer, VisitorRequest } from '../../outer/access/visitor-check.ts'
import type { VisitorsConfig } from '../config.ts'
import { action, draw, html } from './layout.ts'
import { textsFor } from './texts.ts'

/** Words for people who log in for a program on the same machine. */
interface HolderTexts {
  readonly title: string
  readonly body: (who: string, port: number) => string
  readonly one: (host: string) => string
  readonly all: (host: string) => string
  readonly warning: string
  readonly allow: string
  readonly refuse: string
}

const ENGLISH: HolderTexts = {
  title: 'Let this program connect?',
  body: (who, port) => `A program on this computer, which waits at port ${port}, wants to connect in your name, ${who}:`,
  one: host => `to ${host}`,
  all: host => `to ${host}, and to whatever else its owner lets you have`,
  warning: 'Say yes only if you have started it yourself just now.',
  allow: 'Yes, let it connect',
  refuse: 'No',
}

const FRENCH: HolderTexts = {
  title: 'Autoriser ce programme à se connecter ?',
  body: (who, port) => `Un programme de cet ordinateur, qui attend sur le port ${port}, veut se connecter en votre nom, ${who} :`,
  one: host => `à ${host}`,
  all: host => `à ${host}, et à tout ce que son propriétaire vous ouvre`,
  warning: 'N’acceptez que si vous venez de le lancer vous-même.',
  allow: 'Oui, l’autoriser',
  refuse: 'Non',
}

/** The facts that somebody decides on. */
export interface HolderQuestion {
  readonly who: string
  readonly host: string
  /** The program gets to everything of the same owner. */
  readonly isForAll: boolean
  /** Of this machine, where the program waits. */
  readonly port: number
  /** The path of the page itself. */
  readonly path: string
  readonly switchUrl: string
}

/** The question whether a program on the machine of the browser may connect. */
export class HolderPages {
  constructor(private readonly config: () => VisitorsConfig) {}

  confirm({ request }: VisitorRequest, { who, host, isForAll, port, path, switchUrl }: HolderQuestion): VisitorAnswer {
    const at = request.names.indexOf('accept-language')
    const texts = textsFor(at < 0 ? undefined : request.fields[2 * at + 1])
    const words = texts.language === 'fr' ? FRENCH : ENGLISH
    const form = (decision: string, text: string, look: string) =>
      html`<form method="post" action="${path}">
        <input type="hidden" name="port" value="${String(port)}" />
        <button class="${look}" name="decision" value="${decision}">${text}</button>
      </form>`
    const drawn = {
      status: 200,
      title: words.title,
      formsLeadTo: loopbackOf(port),
      body: html`<p>${words.body(who, port)}</p>
        <ul>
          <li><strong>${isForAll ? words.all(host) : words.one(host)}</strong></li>
        </ul>
        <p>${words.warning}</p>
        ${form('allow', words.allow, 'do')} ${form('refuse', words.refuse, 'do also')} ${action(switchUrl, texts.somebodyElse, true)}`,
    }
    return draw(drawn, this.config(), texts)
  }
}

/** The origin of a program on this machine: by its address, which no resolver is asked for. */
export const loopbackOf = (port: number): string => `http://127.0.0.1:${port}`
