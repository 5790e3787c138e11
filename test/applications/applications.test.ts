/** Applications, unmodified, with their own clients: the same directly and through the gateway. `npm run applications` has the large ones. */
import { expect } from '@jest/globals'
import { testWith } from '../support/needs.ts'
import { compare } from './application.ts'
import { SMALL } from './small.ts'

for (const create of SMALL) {
  const application = create()
  testWith(application.programs, application.name, async () => {
    const { direct, through } = await compare(application)
    expect(through).toEqual(direct)
  })
}
