/** Words for people, in each language. */
export interface Texts {
  readonly language: 'en' | 'fr'
  readonly chooseTitle: (host: string) => string
  readonly chooseBody: string
  readonly logInWith: (provider: string) => string
  readonly continueAs: (who: string) => string
  readonly deniedTitle: string
  readonly deniedBody: (who: string, host: string) => string
  readonly somebodyElse: string
  readonly logOutTitle: string
  readonly logOutBody: (who: string) => string
  readonly nobodyBody: string
  readonly logOutHere: (host: string) => string
  readonly logOutEverywhere: string
  readonly loggedOutTitle: string
  readonly loggedOutBody: (host: string) => string
  readonly loggedOutEverywhereBody: string
  readonly logIn: string
  readonly logInAgain: string
  readonly awayTitle: string
  readonly awayBody: (provider: string) => string
  readonly tryAgain: string
  readonly cookiesTitle: string
  readonly cookiesBody: string
  readonly failedTitle: string
  readonly failedBody: string
  readonly unverifiedBody: (provider: string) => string
  readonly cancelledBody: (provider: string) => string
  readonly insecureTitle: string
  readonly insecureBody: string
  readonly crossTitle: string
  readonly crossBody: string
  readonly shareTitle: string
  readonly shareBody: string
  readonly neededTitle: string
  readonly neededBody: string
  readonly limitedTitle: string
  readonly limitedBody: string
  readonly missingTitle: string
  readonly missingBody: string
  readonly credentialsTitle: string
  readonly credentialsBody: string
  readonly providersMissing: string
  readonly email: string
  readonly password: string
  readonly wrongBody: string
  readonly stillLoggedIn: (provider: string) => string
  readonly logOutOf: (provider: string) => string
  readonly loggedOutElsewhereBody: string
  readonly logoutFailedTitle: string
  readonly logoutFailedBody: string
  readonly logoutUnconfirmedBody: (provider: string) => string
}

const ENGLISH: Texts = {
  language: 'en',
  chooseTitle: host => `Log in to ${host}`,
  chooseBody: 'Choose where you have an account.',
  logInWith: provider => `Log in with ${provider}`,
  continueAs: who => `Go on as ${who}`,
  deniedTitle: 'You may not come in here',
  deniedBody: (who, host) => `You are logged in as ${who}, who is not among those who may see ${host}. Ask whoever runs it to let you in.`,
  somebodyElse: 'Log in as somebody else',
  logOutTitle: 'Log out',
  logOutBody: who => `You are logged in as ${who}.`,
  nobodyBody: 'You are not logged in here.',
  logOutHere: host => `Log out of ${host}`,
  logOutEverywhere: 'Log out everywhere, on every device',
  loggedOutTitle: 'You are logged out',
  loggedOutBody: host => `Your session at ${host} is over. On other addresses you may still be logged in.`,
  loggedOutEverywhereBody: 'All your sessions are over, on every address and every device.',
  logIn: 'Log in',
  logInAgain: 'Log in again',
  awayTitle: 'Nobody can log in at the moment',
  awayBody: provider => `${provider} does not answer. Whoever is logged in stays so. Please try again in a minute.`,
  tryAgain: 'Try again',
  cookiesTitle: 'Your browser keeps no cookies',
  cookiesBody:
    'The login needs a cookie of this address and one of the login page. Allow both in the settings of your browser, and try again.',
  failedTitle: 'The login did not work',
  failedBody: 'It took too long, was begun in another browser, or was used already. Begin again at the address that you wanted to see.',
  unverifiedBody: provider => `${provider} has not verified your e-mail address. Verify it there, and try again.`,
  cancelledBody: provider => `${provider} did not log you in. Perhaps you have cancelled it.`,
  insecureTitle: 'This address needs https',
  insecureBody: 'A login over http could be read on the way. Open the same address with https.',
  shareTitle: 'This link is over',
  shareBody: 'It has expired, was opened as often as it may, or was revoked. Ask whoever gave it to you for another one.',
  crossTitle: 'Another site has sent this request',
  crossBody: 'It wanted to act in your name, and nothing was done. If that was what you wanted, go to the page itself.',
  neededTitle: 'You are not logged in, or no longer',
  neededBody: 'What you have sent was not delivered. Log in, and send it again.',
  limitedTitle: 'Too many attempts',
  limitedBody: 'Please wait a minute, and try again.',
  missingTitle: 'There is nothing here',
  missingBody: 'Please check the address.',
  credentialsTitle: 'What you have sent does not open this page',
  credentialsBody: 'It is not valid here, used up, or too old. Ask whoever gave it to you for another one.',
  providersMissing: 'The gateway knows no provider for this address. Whoever runs it has to name one.',
  email: 'E-mail address',
  password: 'Password',
  stillLoggedIn: provider => `At ${provider} you are still logged in: from there, this browser gets in again without a password.`,
  logOutOf: provider => `Log out of ${provider} as well`,
  logoutFailedTitle: 'The logout did not work',
  logoutFailedBody:
    'It took too long, was begun in another browser, or was done already. Nothing was changed; log out at the address itself.',
  logoutUnconfirmedBody: provider =>
    `Your sessions here are over, but ${provider} did not confirm the end of its own. Log out there as well, or close the browser.`,
  loggedOutElsewhereBody: 'You have come back from the provider. Sessions on other addresses end as they were asked to.',
  wrongBody: 'There is no account with this address and this password. Please try again.',
}

const FRENCH: Texts = {
  language: 'fr',
  chooseTitle: host => `Connexion à ${host}`,
  chooseBody: 'Choisissez où vous avez un compte.',
  logInWith: provider => `Se connecter avec ${provider}`,
  continueAs: who => `Continuer en tant que ${who}`,
  deniedTitle: 'Accès refusé',
  deniedBody: (who, host) =>
    `Vous êtes connecté en tant que ${who}, qui n’a pas accès à ${host}. Demandez l’accès à la personne qui gère ce site.`,
  somebodyElse: 'Se connecter avec un autre compte',
  logOutTitle: 'Déconnexion',
  logOutBody: who => `Vous êtes connecté en tant que ${who}.`,
  nobodyBody: 'Vous n’êtes pas connecté ici.',
  logOutHere: host => `Se déconnecter de ${host}`,
  logOutEverywhere: 'Se déconnecter partout, sur tous les appareils',
  loggedOutTitle: 'Vous êtes déconnecté',
  loggedOutBody: host => `Votre session sur ${host} est terminée. Vous pouvez encore être connecté à d’autres adresses.`,
  loggedOutEverywhereBody: 'Toutes vos sessions sont terminées, à toutes les adresses et sur tous les appareils.',
  logIn: 'Se connecter',
  logInAgain: 'Se reconnecter',
  awayTitle: 'La connexion est impossible pour le moment',
  awayBody: provider => `${provider} ne répond pas. Les sessions ouvertes continuent. Veuillez réessayer dans une minute.`,
  tryAgain: 'Réessayer',
  cookiesTitle: 'Votre navigateur ne garde pas les cookies',
  cookiesBody:
    'La connexion a besoin d’un cookie de cette adresse et d’un cookie de la page de connexion. Autorisez-les dans les réglages de votre navigateur, puis réessayez.',
  failedTitle: 'La connexion a échoué',
  failedBody:
    'Elle a pris trop de temps, a commencé dans un autre navigateur ou a déjà servi. Recommencez à l’adresse que vous vouliez voir.',
  unverifiedBody: provider => `${provider} n’a pas vérifié votre adresse e-mail. Faites-la vérifier, puis réessayez.`,
  cancelledBody: provider => `${provider} ne vous a pas connecté. Vous avez peut-être annulé.`,
  insecureTitle: 'Cette adresse demande https',
  insecureBody: 'Une connexion en http pourrait être lue en chemin. Ouvrez la même adresse avec https.',
  shareTitle: 'Ce lien n’est plus valable',
  shareBody:
    'Il a expiré, a été ouvert autant de fois que permis, ou a été révoqué. Demandez-en un autre à la personne qui vous l’a donné.',
  crossTitle: 'Un autre site a envoyé cette requête',
  crossBody: 'Il voulait agir en votre nom, et rien n’a été fait. Si c’était voulu, allez sur la page elle-même.',
  neededTitle: 'Vous n’êtes pas connecté, ou ne l’êtes plus',
  neededBody: 'Ce que vous avez envoyé n’a pas été transmis. Connectez-vous, puis envoyez-le de nouveau.',
  limitedTitle: 'Trop de tentatives',
  limitedBody: 'Veuillez attendre une minute, puis réessayer.',
  missingTitle: 'Il n’y a rien ici',
  missingBody: 'Veuillez vérifier l’adresse.',
  credentialsTitle: 'Ce que vous avez envoyé n’ouvre pas cette page',
  credentialsBody: 'Ce n’est pas valable ici, épuisé ou trop ancien. Demandez-en un autre à la personne qui vous l’a donné.',
  providersMissing: 'La passerelle ne connaît aucun fournisseur pour cette adresse. La personne qui la gère doit en nommer un.',
  email: 'Adresse e-mail',
  password: 'Mot de passe',
  stillLoggedIn: provider => `Vous êtes encore connecté chez ${provider} : depuis là, ce navigateur se reconnecte sans mot de passe.`,
  logOutOf: provider => `Se déconnecter aussi de ${provider}`,
  logoutFailedTitle: 'La déconnexion a échoué',
  logoutFailedBody:
    'Elle a pris trop de temps, a commencé dans un autre navigateur ou est déjà faite. Rien n’a changé ; déconnectez-vous à l’adresse elle-même.',
  logoutUnconfirmedBody: provider =>
    `Vos sessions ici sont terminées, mais ${provider} n’a pas confirmé la fin de la sienne. Déconnectez-vous aussi là-bas, ou fermez le navigateur.`,
  loggedOutElsewhereBody: 'Vous revenez du fournisseur. Les sessions aux autres adresses se terminent comme demandé.',
  wrongBody: 'Aucun compte ne correspond à cette adresse et à ce mot de passe. Veuillez réessayer.',
}

/** The texts in the language that a browser prefers of those that there are. @param accept  value of Accept-Language */
export function textsFor(accept: string | undefined): Texts {
  let best: { readonly texts: Texts; readonly weight: number } | undefined
  for (const part of (accept ?? '').slice(0, 500).split(',')) {
    const [range = '', ...parameters] = part.trim().toLowerCase().split(';')
    const quality = parameters.map(each => /^\s*q=([01](?:\.\d{0,3})?)\s*$/.exec(each)?.[1]).find(value => value !== undefined)
    const weight = quality === undefined ? 1 : Number(quality)
    const [primary] = range.split('-')
    const texts = primary === 'fr' ? FRENCH : primary === 'en' ? ENGLISH : undefined
    if (texts !== undefined && weight > 0 && weight > (best?.weight ?? 0)) best = { texts, weight }
  }
  return best?.texts ?? ENGLISH
}
