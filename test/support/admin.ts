/** Requests to an admin port, as bytes where it matters. */
import { request, type IncomingHttpHeaders } from 'node:http'

export interface AdminAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** One GET; `Host` is that of this machine unless told. */
export const ask = (port: number, path: string, headers: Readonly<Record<string, string>> = {}): Promise<AdminAnswer> =>
  new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port, path, headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, text })).on('error', reject)
    })
      .on('error', reject)
      .end()
  })

/** The Authorization field of a password. */
export const basic = (password: string): { readonly authorization: string } => ({
  authorization: `Basic ${Buffer.from(`operator:${password}`).toString('base64')}`,
})

/** Metric with labels, as it stands in the text → value. */
export const parseMetrics = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .split('\n')
      .filter(line => line !== '' && !line.startsWith('#'))
      .map(line => {
        const space = line.lastIndexOf(' ')
        return [line.slice(0, space), Number(line.slice(space + 1))] as const
      }),
  )
