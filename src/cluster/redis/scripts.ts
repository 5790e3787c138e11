/*
 * The steps of a node in Redis, each done at once. All keys share a hash slot, so that this works in a cluster of Redis as well:
 *
 *   {NAME}:nodes      sorted set: id → when it is over, milliseconds on the clock of Redis
 *   {NAME}:facts      hash: id → NodeFacts, signed by the key of the node
 *   {NAME}:versions   hash: id → `NUMBER CODE`: a number that grows with each change of what the node serves, and the code of all that it serves then
 *   {NAME}:served:ID  hash: number → ServedProcess
 *   {NAME}:changes    channel: `ID NUMBER CODE {"add":[…],"remove":[…]}`, `ID gone CODE `
 */

/** Nodes of a cluster, as many as anybody asks for. Whoever can write to Redis can make up more, and nobody reads them. */
export const MAX_NODES = 256
/** Bytes of an id, and of the facts of a node; more are none. */
const MAX_ID = 128
const MAX_FACTS = 16_384
/** Processes of one node, the memory that Redis has for them, as it estimates, and the bytes of one. Looked at before they are read: what is too much would hold up Redis and the node. */
export const MAX_PROCESSES = 100_000
const MAX_LIST = 134_217_728
const MAX_PROCESS = 8_192
/** Of a number with its code. */
const MAX_VERSION = 80

/** After so long nothing is left of a node that has died without a word, milliseconds. */
const FORGOTTEN_MS = 60_000

/**
 * Shows a node and looks who else is there. KEYS: nodes, facts, versions. ARGV: id, facts, time to live, prefix of the lists, ids of nodes that are
 * known. Gives the time, the version of this node that Redis has, then for each node that is alive: id, facts, version; those that are known first, so that none that was
 * made up takes the place of one of them.
 */
export const BEAT = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ${FORGOTTEN_MS}, 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
  redis.call('DEL', ARGV[4] .. id)
end
local answer = { now, redis.call('HGET', KEYS[3], ARGV[1]) or '' }
local told = {}
local count = 0
local function tell(id)
  if told[id] or #id > ${MAX_ID} or count >= ${MAX_NODES} then return end
  local facts = redis.call('HGET', KEYS[2], id) or ''
  if #facts > ${MAX_FACTS} then facts = '' end
  told[id] = true
  count = count + 1
  answer[#answer + 1] = id
  answer[#answer + 1] = facts
  answer[#answer + 1] = string.sub(redis.call('HGET', KEYS[3], id) or '0', 1, ${MAX_VERSION})
end
for i = 5, #ARGV do
  local over = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if over and tonumber(over) >= now then tell(ARGV[i]) end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now, '+inf', 'LIMIT', 0, ${2 * MAX_NODES})) do tell(id) end
return answer`

/**
 * Changes what a node serves, and tells. KEYS: versions, its list. ARGV: id, channel, number and code of the list afterwards, those that it has now, the message, how many come, then number and
 * process of each, then the numbers that go. Without those that it has now, the list is made anew.
 */
export const CHANGE = `
if ARGV[4] == '' then
  redis.call('DEL', KEYS[2])
elseif redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[4] then
  return redis.error_reply('ERR somebody else has changed the list')
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
local come = tonumber(ARGV[6])
for i = 7, 6 + 2 * come, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
for i = 7 + 2 * come, #ARGV do
  redis.call('HDEL', KEYS[2], ARGV[i])
end
redis.call('PUBLISH', ARGV[2], ARGV[5])
return 1`

/** Reads what a node serves. KEYS: versions, its list. ARGV: id. Gives the version, then number and process of each. */
export const LIST = `
if redis.call('HLEN', KEYS[2]) > ${MAX_PROCESSES} then return redis.error_reply('ERR too many processes of one node') end
local size = redis.pcall('MEMORY', 'USAGE', KEYS[2])
if type(size) == 'number' and size > ${MAX_LIST} then return redis.error_reply('ERR too much of one node') end
for _, number in ipairs(redis.call('HKEYS', KEYS[2])) do
  if redis.call('HSTRLEN', KEYS[2], number) > ${MAX_PROCESS} then return redis.error_reply('ERR a process that is too long') end
end
local answer = redis.call('HGETALL', KEYS[2])
table.insert(answer, 1, redis.call('HGET', KEYS[1], ARGV[1]) or '0')
return answer`

/** Takes a node out. KEYS: nodes, facts, versions, its list. ARGV: id, channel, message. */
export const LEAVE = `
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('DEL', KEYS[4])
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1`
