#!lua flags=allow-oom
-- Fences a tag without removing anything: the first step of a soft invalidation.
-- KEYS  1 fence table          ARGV  1 tag, 2 a generation, if there is none yet, 3 fences to keep at most
-- Returns the clock. Race closed: the commit of a load that began earlier is refused.
redis.call('HSETNX', KEYS[1], 'gen', ARGV[2])
local clock = redis.call('HINCRBY', KEYS[1], 'clk', 1)
if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[3]) then
  -- As in invalidate_tag.lua: drop single fences, and refuse every load that began before now instead.
  local gen = redis.call('HGET', KEYS[1], 'gen')
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], 'gen', gen, 'clk', clock, 'floor', clock)
end
redis.call('HSET', KEYS[1], 't:' .. ARGV[1], clock)
return clock
