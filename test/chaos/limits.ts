/**
 * Times that processes of a world are started with. Nothing that is served takes as long, also on a machine that gives a process a twentieth of a core: a
 * limit of the program that came sooner would tell how fast the machine is, and not what the program does.
 */
export const TIMEOUT_MS = 120_000

/** An origin that says nothing has so long. */
export const MUTE_MS = 6_000

/** A proof of identity has so long for its way. */
export const VALIDITY_MS = 60_000

/** Streams of an inner layer that is asked to end have so long. */
export const INNER_DRAIN_MS = 60_000

/** Those of an outer layer: what is left is cut, and that has to be seen as well. */
export const OUTER_DRAIN_MS = 5_000
