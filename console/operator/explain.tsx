import { useState } from 'preact/hooks'
import type { Explanation } from '../../src/config/explain.ts'
import { call } from '../api/client.ts'
import { Field, Form, textOf } from '../ui/form.tsx'

/** Says what would happen to a request, without sending it. */
export function Explain() {
  const [shown, setShown] = useState<Explanation | undefined>()
  const ask = (form: FormData): Promise<Explanation> =>
    call('GET', `api/explain?method=${encodeURIComponent(textOf(form, 'method'))}&url=${encodeURIComponent(textOf(form, 'url'))}`)
  return (
    <details class="panel">
      <summary>Explain a request</summary>
      <Form verb="Explain" act={ask} onDone={result => setShown(result as Explanation)}>
        <Field label="Method" name="method" value="GET" isRequired />
        <Field label="URL" name="url" isRequired hint="such as https://api.example.com/v1/users; nothing is sent" />
      </Form>
      {shown !== undefined && <Verdict explanation={shown} />}
    </details>
  )
}

function Verdict({ explanation }: { readonly explanation: Explanation }) {
  const { verdict, code, reason, method, url, target, route, hostRule, path, rules, effects, originUrl, identifiers } = explanation
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['request', `${method} ${url}`],
    ['target', target && `${target.name}, line ${target.line}, found as ${hostRule}`],
    ['route', route && `${route.path}, line ${route.line}`],
    ['path', path],
    ['asks the origin for', originUrl],
    ['served by', target && (identifiers === undefined ? 'any inner layer' : identifiers.join(', '))],
    ...effects.map(([key, text]) => [key, text] as const),
  ]
  return (
    <div role="status">
      <p class={verdict === 'allowed' ? 'good' : 'bad'}>
        <strong>{verdict}</strong>
        {code !== undefined && (
          <>
            {' '}
            <code>{code}</code>
          </>
        )}
        : {reason}
      </p>
      <dl class="facts">
        {facts.map(([name, value]) =>
          value === undefined ? null : (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
        )}
      </dl>
      {rules.length > 0 && (
        <ol>
          {rules.map(({ pattern, methods, line, matchesPath, allowsMethod }) => (
            <li key={line} class={matchesPath && allowsMethod ? 'good' : 'dim'}>
              <code>{pattern}</code> {methods.join(', ')}, line {line}:{' '}
              {matchesPath ? (allowsMethod ? 'fits' : 'fits the path, not the method') : 'does not fit'}
            </li>
          ))}
        </ol>
      )}
    </div>
  )
}
