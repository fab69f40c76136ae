#!lua flags=allow-oom
-- Lists the processes that may hold a near-cache lease.
-- KEYS  1 register of holders, named after the run id of the server: an older dataset has another one
-- ARGV  1 the longest that any process may hold a lease, in ms, 2 TTL of a register that is no longer used, in s
-- Returns ms for which there may be holders that are not registered, and the ids of the registered ones. Race closed: a
-- register that was lost (FLUSHALL, restart, eviction) names no process; a new one is believed only when every lease from
-- before is over.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSETNX', KEYS[1], 'since', now)
redis.call('EXPIRE', KEYS[1], ARGV[2])
local listed = {0}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local name, value = all[at], tonumber(all[at + 1])
  if name == 'since' then
    listed[1] = math.max(0, value + ARGV[1] - now)
  elseif value > now then
    listed[#listed + 1] = string.sub(name, 3)
  else
    redis.call('HDEL', KEYS[1], name)
  end
end
return listed
