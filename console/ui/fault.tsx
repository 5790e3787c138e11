import type { ApiFault } from '../api/client.ts'

/** A failed call: code, what happened, what to do. */
export function Fault({ fault }: { readonly fault: ApiFault }) {
  return (
    <div class="fault" role="alert">
      <p>
        <code>{fault.code}</code> {fault.message}
      </p>
      {fault.details.length > 0 && (
        <ul>
          {fault.details.map(({ path, message }) => (
            <li key={path}>
              <code>{path}</code> {message}
            </li>
          ))}
        </ul>
      )}
      <p>{fault.todo}</p>
      {fault.requestId !== undefined && (
        <p class="dim">
          Request id <code>{fault.requestId}</code>
        </p>
      )}
    </div>
  )
}
