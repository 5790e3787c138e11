/** The ways to look at a body. */
export type View = 'json' | 'xml' | 'form' | 'multipart' | 'image' | 'protobuf' | 'text' | 'hex'

const BY_TYPE: readonly (readonly [RegExp, View])[] = [
  [/^application\/(?:[\w.-]+\+)?(?:x-)?(?:nd)?json/i, 'json'],
  [/^(?:application|text)\/(?:[\w.-]+\+)?xml/i, 'xml'],
  [/^application\/x-www-form-urlencoded/i, 'form'],
  [/^multipart\//i, 'multipart'],
  [/^image\/(?:png|jpeg|gif|webp|avif|bmp|x-icon|vnd\.microsoft\.icon)/i, 'image'],
  [/^application\/(?:grpc|(?:x-|vnd\.google\.)?protobuf)/i, 'protobuf'],
  [/^text\/|javascript|^application\/(?:graphql|sql|toml|yaml|x-yaml)/i, 'text'],
]

/** The views that make sense for a body, the best one first. */
export function viewsOf(type: string | null, bytes: Uint8Array): readonly View[] {
  const isText = looksLikeText(bytes)
  const named = BY_TYPE.find(([pattern]) => pattern.test(type ?? ''))?.[1]
  const start = String.fromCharCode(...bytes.subarray(0, 64)).trimStart()
  const guessed: View | undefined = !isText ? undefined : /^[[{]/.test(start) ? 'json' : start.startsWith('<') ? 'xml' : undefined
  const views: (View | undefined)[] = [
    named,
    ...(named === 'text' || named === undefined ? [guessed] : []),
    isText ? 'text' : 'hex',
    isText ? 'hex' : 'protobuf',
  ]
  return [...new Set(views.filter(view => view !== undefined))]
}

/** No zero bytes and next to no control characters. */
export function looksLikeText(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, 4096)
  let odd = 0
  for (const byte of start) {
    if (byte === 0) return false
    if (byte < 0x20 && byte !== 9 && byte !== 10 && byte !== 13) odd++
  }
  return odd * 50 <= start.length
}
