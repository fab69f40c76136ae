#!lua flags=allow-oom
-- Removes the entries that carry a tag, a bounded number per call.
-- KEYS  1 fence table, 2 tag set, 3 the set being drained
-- ARGV  1 tag, 2 `1` on the first call of a run, 3 members per call, 4 key prefix, 5 a generation, should there
--       be none, 6 fences to remember at most
-- Returns {entries removed, members left}. Call until none is left.
-- Races closed: the fence refuses loads that began earlier and are registered nowhere yet; the set is moved aside
-- first, so that entries filled after the fence are spared and the run ends; what a crashed run left is merged in.
if ARGV[2] == '1' then
  redis.call('HSETNX', KEYS[1], 'gen', ARGV[5])
  local clock = redis.call('HINCRBY', KEYS[1], 'clk', 1)
  if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[6]) then
    -- Forget single fences by refusing every load that is older than now.
    local gen = redis.call('HGET', KEYS[1], 'gen')
    redis.call('UNLINK', KEYS[1])
    redis.call('HSET', KEYS[1], 'gen', gen, 'clk', clock, 'floor', clock)
  end
  redis.call('HSET', KEYS[1], 't:' .. ARGV[1], clock)

  if redis.call('EXISTS', KEYS[3]) == 0 then
    if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[3]) end
  else
    redis.call('SUNIONSTORE', KEYS[3], KEYS[3], KEYS[2])
    redis.call('UNLINK', KEYS[2])
  end
end

local members = redis.call('SPOP', KEYS[3], ARGV[3])
local removed = 0
if #members > 0 then
  for i, member in ipairs(members) do members[i] = ARGV[4] .. member end
  removed = redis.call('UNLINK', unpack(members))
end
return { removed, redis.call('SCARD', KEYS[3]) }
