/** The Host that leads to the Node origin through every contender; any other leads to the origin with the files. */
export const NODE_HOST = 'node.bench'
export const STATIC_HOST = 'static.bench'
