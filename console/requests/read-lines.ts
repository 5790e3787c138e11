/** Reads lines of JSON; an empty line says that the connection is alive. */
export async function readLines<T>(response: Response, take: (value: T) => void): Promise<void> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line.trim() !== '') take(JSON.parse(line) as T)
  }
}
