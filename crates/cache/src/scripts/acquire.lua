#!lua
-- Takes the lease on an absent entry: the right to load it and to store what was loaded.
-- KEYS  1 entry, 2 fence table          ARGV  1 lease id, 2 lease time in ms, 3 a generation, should there be none
-- Returns what the entry holds (a lease `L…` or a value `V…`), or {generation, clock} when the lease is ours.
-- Race closed: the clock is read in the same step as the lease is set, before the load begins, so every
-- invalidation that could have missed the load carries a higher clock or kills the lease.
local held = redis.call('GET', KEYS[1])
if held then return held end

redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])
redis.call('SET', KEYS[1], 'L' .. ARGV[1], 'PX', ARGV[2])
local fence = redis.call('HMGET', KEYS[2], 'gen', 'clk')
return { fence[1], fence[2] or '0' }
