import { basename } from 'node:path'

/** Name of the certificate, without its ending, that a TLS port is opened with until an authority has issued one; no host has a space in its name. */
export const PLACEHOLDER = 'none yet'

/** Is this the file of that certificate? */
export const isPlaceholder = (file: string): boolean => basename(file) === `${PLACEHOLDER}.crt`
