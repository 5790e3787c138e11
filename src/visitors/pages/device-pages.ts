import type { VisitorAnswer, VisitorRequest } from '../../outer/access/visitor-check.ts'
import type { VisitorsConfig } from '../config.ts'
import { action, draw, html, type Drawn } from './layout.ts'
import { textsFor, type Texts } from './texts.ts'

/** Words for people who log in for a program. */
interface DeviceTexts {
  readonly enterTitle: string
  readonly enterBody: string
  readonly code: string
  readonly goOn: string
  readonly wrong: string
  readonly confirmTitle: string
  readonly confirmBody: (who: string, address: string, gateway: string | undefined) => string
  readonly compare: string
  readonly warning: string
  readonly allow: string
  readonly refuse: string
  readonly allowedTitle: string
  readonly allowedBody: string
  readonly refusedTitle: string
  readonly refusedBody: string
}

const ENGLISH: DeviceTexts = {
  enterTitle: 'Log in for a program',
  enterBody: 'Type the code that the program shows.',
  code: 'Code',
  goOn: 'Go on',
  wrong: 'There is no such code, or its ten minutes are over. Compare it with what the program shows, or start the program again.',
  confirmTitle: 'Let this program connect?',
  confirmBody: (who, address, gateway) =>
    `A program at ${address} wants to open these connections${gateway === undefined ? '' : ` through ${gateway}`} in your name, ${who}:`,
  compare: 'It has to show this code:',
  warning: 'Say yes only if you have started it yourself. Nobody who calls or writes to you needs this code.',
  allow: 'Yes, let it connect',
  refuse: 'No',
  allowedTitle: 'Done',
  allowedBody: 'The program can connect now. You can close this page.',
  refusedTitle: 'The program was refused',
  refusedBody: 'It can open nothing. You can close this page.',
}

const FRENCH: DeviceTexts = {
  enterTitle: 'Se connecter pour un programme',
  enterBody: 'Saisissez le code que le programme affiche.',
  code: 'Code',
  goOn: 'Continuer',
  wrong: 'Ce code n’existe pas, ou ses dix minutes sont écoulées. Comparez-le avec celui du programme, ou relancez le programme.',
  confirmTitle: 'Autoriser ce programme à se connecter ?',
  confirmBody: (who, address, gateway) =>
    `Un programme à l’adresse ${address} veut ouvrir ces connexions${gateway === undefined ? '' : ` par ${gateway}`} en votre nom, ${who} :`,
  compare: 'Il doit afficher ce code :',
  warning: 'N’acceptez que si vous l’avez lancé vous-même. Personne n’a besoin de vous demander ce code.',
  allow: 'Oui, l’autoriser',
  refuse: 'Non',
  allowedTitle: 'C’est fait',
  allowedBody: 'Le programme peut se connecter. Vous pouvez fermer cette page.',
  refusedTitle: 'Le programme a été refusé',
  refusedBody: 'Il ne peut rien ouvrir. Vous pouvez fermer cette page.',
}

/** Pages for people who log in for a program that has no browser. */
export class DevicePages {
  constructor(private readonly config: () => VisitorsConfig) {}

  /** Where somebody types the code. @param isWrong  what was typed is none */
  enter(request: VisitorRequest, { isWrong }: { readonly isWrong: boolean }): VisitorAnswer {
    return this.#draw(request, words => ({
      status: isWrong ? 404 : 200,
      title: words.enterTitle,
      body: html`<p role="${isWrong ? 'alert' : 'note'}">${isWrong ? words.wrong : words.enterBody}</p>
        <form method="get" action="/device">
          <label for="code">${words.code}</label>
          <input id="code" name="code" required autocomplete="off" autocapitalize="characters" maxlength="20" />
          <p><button class="do">${words.goOn}</button></p>
        </form>`,
    }))
  }

  /** The question whether a program may. */
  confirm(
    request: VisitorRequest,
    facts: {
      readonly who: string
      readonly address: string
      readonly gateway: string | undefined
      readonly tunnels: readonly string[]
      readonly userCode: string
      readonly switchUrl: string
    },
  ): VisitorAnswer {
    const { who, address, gateway, tunnels, userCode, switchUrl } = facts
    return this.#draw(request, (words, texts) => ({
      status: 200,
      title: words.confirmTitle,
      body: html`<p>${words.confirmBody(who, address, gateway)}</p>
        <ul>
          ${tunnels.map(name => html`<li><strong>${name}</strong></li>`)}
        </ul>
        <p>${words.compare} <strong>${userCode}</strong></p>
        <p>${words.warning}</p>
        <form method="post" action="/device">
          <input type="hidden" name="code" value="${userCode}" />
          <button class="do" name="decision" value="allow">${words.allow}</button>
        </form>
        <form method="post" action="/device">
          <input type="hidden" name="code" value="${userCode}" />
          <button class="do also" name="decision" value="refuse">${words.refuse}</button>
        </form>
        ${action(switchUrl, texts.somebodyElse, true)}`,
    }))
  }

  /** The end. */
  decided(request: VisitorRequest, isAllowed: boolean): VisitorAnswer {
    return this.#draw(request, words => ({
      status: 200,
      title: isAllowed ? words.allowedTitle : words.refusedTitle,
      body: html`<p>${isAllowed ? words.allowedBody : words.refusedBody}</p>`,
    }))
  }

  #draw({ request }: VisitorRequest, of: (words: DeviceTexts, texts: Texts) => Drawn): VisitorAnswer {
    const at = request.names.indexOf('accept-language')
    const texts = textsFor(at < 0 ? undefined : request.fields[2 * at + 1])
    return draw(of(texts.language === 'fr' ? FRENCH : ENGLISH, texts), this.config(), texts)
  }
}
