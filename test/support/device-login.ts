import { RawConnection } from './raw-client.ts'

/**
 * A program asks for a login of its user, who opens a tunnel with it (RFC 8628).
 * @param port  of the outer layer
 * @returns the code that a person has to compare
 */
export async function beginProgram(port: number, authHost: string): Promise<string> {
  const body = new URLSearchParams({ scope: 'db.lan:5432', resource: 'wss://gw.example.test' }).toString()
  const program = await RawConnection.open(port, { tls: { servername: authHost, rejectUnauthorized: false } })
  program.write(`POST /device/authorize HTTP/1.1\r\nHost: ${authHost}\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
  const begun = await program.readResponse('POST')
  program.destroy()
  return (JSON.parse(begun.body.toString()) as { readonly user_code: string }).user_code
}
