import { FILE, flag, integer, optional, withDefault, type Reader } from '../command/option.ts'

const ADMIN: Reader<string> = {
  expected: 'the URL of an admin port such as http://127.0.0.1:3002, or HOST:PORT, or a port',
  read: text => {
    const url = /^\d{1,5}$/.test(text) ? `http://127.0.0.1:${text}` : /^[a-z]+:\/\//i.test(text) ? text : `http://${text}`
    if (!URL.canParse(url)) return undefined
    const { protocol, username, password, search, hash } = new URL(url)
    const isPlain = username === '' && password === '' && search === '' && hash === ''
    return (protocol === 'http:' || protocol === 'https:') && isPlain ? `${url.replace(/(?<!\/)\/*$/, '')}/` : undefined
  },
}

/** Options of `status`. */
export const statusOptions = {
  admin: withDefault(ADMIN, 'http://127.0.0.1:3002/', {
    describe: 'Admin port of the layer: a URL, HOST:PORT, or a port',
    defaultText: 'http://127.0.0.1:3002',
  }),
  json: flag('Print the status as it comes, in JSON'),
  watch: flag('Print it anew every two seconds, until the process is asked to end'),
  'password-file': optional(FILE, { describe: 'File with the admin password, in its first line' }),
}

/** Options of `cluster status`. */
export const clusterStatusOptions = {
  admin: statusOptions.admin,
  json: statusOptions.json,
  'password-file': statusOptions['password-file'],
}

/** Options of `cluster drain`. */
export const clusterDrainOptions = { admin: statusOptions.admin, 'password-file': statusOptions['password-file'] }

/** Options of `cluster rebalance`. */
export const clusterRebalanceOptions = {
  ...clusterDrainOptions,
  threshold: withDefault(integer(0, 1_000), 20, { describe: 'Percent by which a node may have more inner layers than the average' }),
  rate: withDefault(integer(0, 100), 5, {
    describe: 'Percent of the average that a node sends elsewhere each second; at least one inner layer',
  }),
}

/** Options of `targets check`. */
export const targetsCheckOptions = {
  admin: optional(ADMIN, {
    describe: 'Admin port of the outer layer that the file is for: warns of targets that none of its inner layers serves',
    defaultText: 'not asked',
  }),
  'password-file': statusOptions['password-file'],
  visitors: optional(FILE, { describe: 'File of logins: finds providers that targets name and it has not', defaultText: 'not asked' }),
}
