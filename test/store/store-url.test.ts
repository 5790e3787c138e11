import { parseStoreUrl } from '../../src/store/store-url.ts'

const parse = (text: string): unknown => parseStoreUrl(text, '/etc/gateway')

test('a file is relative to the folder of the configuration', () => {
  expect(parse('sqlite:state/service.db')).toEqual({ kind: 'sqlite', file: '/etc/gateway/state/service.db' })
  expect(parse('sqlite:/var/lib/x.db')).toEqual({ kind: 'sqlite', file: '/var/lib/x.db' })
  expect(parse('sqlite:///var/lib/x.db')).toEqual({ kind: 'sqlite', file: '/var/lib/x.db' })
  expect(parse('sqlite::memory:')).toEqual({ kind: 'sqlite', file: ':memory:' })
})

test('a URL of PostgreSQL is taken apart, with TLS that is verified over a network', () => {
  expect(parse('postgres://user:p%40ss@db.example.com/service')).toEqual({
    kind: 'postgres',
    host: 'db.example.com',
    port: 5432,
    database: 'service',
    user: 'user',
    password: 'p@ss',
    tls: 'verified',
    caFile: undefined,
    connections: 10,
  })
  expect(parse('postgresql://u@[::1]:5433/s?connections=3')).toMatchObject({ host: '::1', port: 5433, tls: 'off', connections: 3 })
  expect(parse('postgres://u@localhost/s?host=/run/postgresql')).toMatchObject({ host: '/run/postgresql', tls: 'off' })
  expect(parse('postgres://u@db/s?sslmode=disable')).toMatchObject({ tls: 'off' })
  expect(parse('postgres://u@db/s?sslmode=require')).toMatchObject({ tls: 'unverified' })
  expect(parse('postgres://u@127.0.0.1/s?sslmode=verify-full&sslrootcert=ca.pem')).toMatchObject({
    tls: 'verified',
    caFile: '/etc/gateway/ca.pem',
  })
})

test.each([
  ['', 'expected sqlite:FILE or postgres:'],
  ['mysql://u@h/d', 'expected sqlite:FILE or postgres:'],
  ['sqlite:', 'expected a file'],
  ['sqlite://host/x', 'expected a file'],
  ['postgres://secret:secret@h', 'expected user, host and database'],
  ['postgres://h/d', 'expected user, host and database'],
  ['postgres://secret:secret@h:x/d', 'not a valid URL'],
  ['postgres://u:%zz@h/d', 'percent sign'],
  ['postgres://u@h/d?sslmode=prefer', 'sslmode'],
  ['postgres://u@h/d?password=secret', 'unknown parameter'],
  ['postgres://u@h/d?connections=1', 'from 2 to 100'],
])('%p is refused without being repeated', (text, why) => {
  let message = ''
  try {
    parse(text)
  } catch (thrown) {
    message = (thrown as Error).message
  }
  expect(message).toContain(why)
  expect(message).not.toContain('secret:')
})
