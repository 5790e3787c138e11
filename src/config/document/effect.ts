/** A key and what it does. In a file of its own: the types of the library show it, and lead to no package through it. */
export type Effect = readonly [key: string, text: string]
