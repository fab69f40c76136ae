#!lua flags=allow-oom
-- Fences a tag without removing anything: the first step of a soft invalidation.
-- KEYS  1 fence table          ARGV  1 tag, 2 a generation, should there be none
-- Returns the clock. Race closed: a load that began earlier is refused when it wants to store.
redis.call('HSETNX', KEYS[1], 'gen', ARGV[2])
local clock = redis.call('HINCRBY', KEYS[1], 'clk', 1)
redis.call('HSET', KEYS[1], 't:' .. ARGV[1], clock)
return clock
