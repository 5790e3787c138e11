/** `::ffff:192.0.2.1` as `192.0.2.1`. */
export const unmapped = (address: string): string => (address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address)
