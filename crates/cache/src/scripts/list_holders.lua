#!lua flags=allow-oom
-- Lists the processes that may hold a near-cache lease.
-- KEYS  1 register of holders, named after the run id of the server: an older dataset has another one
-- ARGV  1 the longest that a process with the caller's settings may hold a lease, in ms, 2 TTL of a register that is no
--       longer used, in s
-- Returns ms for which there may be holders that are not registered, the longest lease of any process in ms, and the ids
-- of the registered holders. Races closed: a register that was lost (FLUSHALL, restart, eviction) names no process. A
-- new one counts as complete only when every earlier lease is over. If a process has a longer bound than the caller,
-- the caller waits for that longer bound.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSETNX', KEYS[1], 'since', now)
redis.call('EXPIRE', KEYS[1], ARGV[2])
local since, longest = now, tonumber(ARGV[1])
local listed = {0, 0}
local all = redis.call('HGETALL', KEYS[1])
for at = 1, #all, 2 do
  local name, value = all[at], tonumber(all[at + 1])
  if name == 'since' then
    since = value
  elseif string.sub(name, 1, 2) == 'b:' then
    longest = math.max(longest, tonumber(string.sub(name, 3)))
  elseif value > now then
    listed[#listed + 1] = string.sub(name, 3)
  else
    redis.call('HDEL', KEYS[1], name)
  end
end
listed[1] = math.max(0, since + longest - now)
listed[2] = longest
return listed
