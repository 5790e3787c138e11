import { loggedPath } from '../../src/http/logged-path.ts'

const TOKEN = 'elhJ0NXES_KDDWoXRqzXfC7DY-L-6qq8ZoSxnTGkSRw'

test.each([
  ['/a/b?token=x#y', '/a/b'],
  ['http://me:secret@a.example.com/a?b', '/a'],
  [`/user/confirm/sgo_${TOKEN}`, '/user/confirm/sgo_***'],
  [`/user/confirm/sgo_${TOKEN}/sga_${TOKEN}?x`, '/user/confirm/sgo_***/sga_***'],
  ['/sgo_short/and/sgx', '/sgo_short/and/sgx'],
])('of %s is logged %s', (target, logged) => {
  expect(loggedPath(target)).toBe(logged)
})
