import { needs, programPath, testWith } from './needs.ts'

describe('a program that a test needs', () => {
  const { CI } = process.env
  afterEach(() => {
    if (CI === undefined) delete process.env['CI']
    else process.env['CI'] = CI
  })

  test('is found in the PATH', () => {
    expect(programPath('node')).toMatch(/\/node$/)
    expect(needs('sh')).toBe(true)
  })

  test('is an error that names the Debian package where CI promised it', () => {
    process.env['CI'] = 'true'
    expect(() => needs('no-such-program')).toThrow('no-such-program is absent: apt-get install no-such-program')
  })

  test('is only missed elsewhere', () => {
    delete process.env['CI']
    expect(needs('no-such-program')).toBe(false)
  })

  testWith(['sh'], 'lets its tests run when it is here', async () => {
    expect(programPath('sh')).toBeDefined()
  })
})
