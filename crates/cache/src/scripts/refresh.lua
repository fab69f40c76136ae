#!lua
-- Takes the right to refresh a stale entry that stays readable meanwhile.
-- KEYS  1 entry, 2 fence table, 3 refresh lock     ARGV  1 the entry's `V<id>`, 2 lock time in ms, 3 a generation
-- Returns {generation, clock}, or nil when the entry is no longer that one or somebody refreshes it already.
-- Race closed: the lock only spares the database; it is the entry's own id, compared again by commit.lua, that
-- keeps a slow refresh from overwriting a newer value or reviving an invalidated one.
if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then return nil end
if not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2]) then return nil end

redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])
local fence = redis.call('HMGET', KEYS[2], 'gen', 'clk')
return { fence[1], fence[2] or '0' }
