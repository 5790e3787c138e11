import js from '@eslint/js'
import regexp from 'eslint-plugin-regexp'
import tseslint from 'typescript-eslint'
import guardedListeners from './scripts/eslint-guarded.js'
import openLookup from './scripts/eslint-open-lookup.js'

/** Pure rooms may name a few calculating functions of modules that otherwise open sockets. */
const pureImports = {
  paths: [
    { name: 'node:net', allowImportNames: ['isIP', 'isIPv4', 'isIPv6'], message: 'a pure room knows no sockets; only isIP* are allowed' },
    {
      name: 'node:http',
      allowTypeImports: true,
      allowImportNames: ['STATUS_CODES', 'validateHeaderName', 'validateHeaderValue'],
      message: 'a pure room knows the types of node:http and its pure functions, no sockets',
    },
    { name: 'node:url', allowImportNames: ['domainToASCII', 'domainToUnicode'], message: 'a pure room knows no files' },
  ],
}

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', 'node_modules/'] },
  js.configs.recommended,
  {
    files: ['**/*.{js,cjs}'],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly', fetch: 'readonly', AbortSignal: 'readonly' } },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs', globals: { __filename: 'readonly', module: 'writable', require: 'readonly' } },
  },
  {
    files: ['**/*.{ts,cts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      // A promise that nobody waits for is how a socket program loses its errors.
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // `() => call()` and `return call()` for a void call read well and hide nothing.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // The compiler does not see that a callback changes a field between two looks at it, which is what a socket program is made of.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' }],
      // Interfaces are declared by their user; an implementation without anything to await is still asynchronous to its caller.
      '@typescript-eslint/require-await': 'off',
      // With noUncheckedIndexedAccess, `bytes[i]!` says that the line above has checked the bound.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      eqeqeq: 'error',
      'no-console': 'error',
      'no-control-regex': 'off', // headers and paths are about control characters
      'max-lines': ['warn', { max: 400 }],
    },
  },
  {
    files: ['src/**/*.ts'],
    plugins: { regexp, tables: { rules: { 'open-lookup': openLookup } } },
    rules: {
      'tables/open-lookup': 'error',
      // What clients, origins and peers send is read by expressions that take time in proportion to its length, and no more.
      'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }],
      'regexp/no-super-linear-move': ['error', { report: 'potential', ignoreSticky: false, ignorePartial: false }],
      'no-restricted-globals': [
        'error',
        { name: 'process', message: 'only src/main.cts touches process; take what you need as an argument' },
      ],
    },
  },
  {
    // The path of bytes that strangers send.
    files: [
      'src/{link,splice,outer,origin,net,mux,http1,tunnel,ssh,sokken,service,service-host,api,inner,platform,mail,admin,visitors,inspector}/**/*.ts',
    ],
    plugins: { local: { rules: { 'guarded-listeners': guardedListeners } } },
    rules: {
      'local/guarded-listeners': 'error',
      'no-restricted-properties': [
        'error',
        { property: 'resetAndDestroy', message: 'it can leave the socket open for ever: endAbruptly of net/linger.ts' },
      ],
    },
  },
  {
    files: ['src/{wire,address,http,http1,http2,payload,route}/**/*.ts'],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', pureImports] },
  },
  {
    // Tests and benchmarks know what they have built; a wrong guess there is a failing test, not an outage.
    files: ['{test,bench}/**/*.ts'],
    rules: {
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
    },
  },
  {
    files: ['bench/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
)
