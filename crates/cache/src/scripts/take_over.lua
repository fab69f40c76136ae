#!lua
-- Takes over the lease for a writer, regardless of what the entry holds (write-through).
-- KEYS  1 entry, 2 fence table          ARGV  1 lease id, 2 lease time in ms, 3 a generation, if there is none yet
-- Returns {generation, clock}.
-- Race closed: it is called under the row lock, so of two writers of one row the later one holds the lease, and a
-- load that began before the write has lost its own.
redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])
redis.call('SET', KEYS[1], 'L' .. ARGV[1], 'PX', ARGV[2])
local fence = redis.call('HMGET', KEYS[2], 'gen', 'clk')
return { fence[1], fence[2] or '0' }
