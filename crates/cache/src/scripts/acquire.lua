#!lua
-- Acquires the lease of an absent entry: the right to load it and to store the loaded value.
-- KEYS  1 entry, 2 fence table          ARGV  1 lease id, 2 lease time in ms, 3 a generation, if there is none yet
-- Returns what the entry holds (a lease `L…` or a value `V…`), or {generation, clock} if the caller got the lease.
-- Race closed: the clock is read in the same step in which the lease is set, before the load begins. So every
-- invalidation that could have missed the load has a higher clock or removes the lease.
local held = redis.call('GET', KEYS[1])
if held then return held end

redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])
redis.call('SET', KEYS[1], 'L' .. ARGV[1], 'PX', ARGV[2])
local fence = redis.call('HMGET', KEYS[2], 'gen', 'clk')
return { fence[1], fence[2] or '0' }
