#!lua
-- Acquires the right to load an entry that exists: to refresh it, or to replace it for a reader that may not take it.
-- KEYS  1 entry, 2 fence table, 3 refresh lock     ARGV  1 the entry's `V<id>`, 2 lock time in ms, 3 a generation
-- Returns {generation, clock}, nil if the entry has changed, or what the lock holds: '1' while another client loads the
-- entry, 'failed' after its load has failed.
-- Race closed: the lock only protects the database from extra loads. The entry's own id, which commit.lua compares
-- again, keeps a slow refresh from overwriting a newer value and from restoring an invalidated one.
if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then return nil end
if not redis.call('SET', KEYS[3], '1', 'NX', 'PX', ARGV[2]) then return redis.call('GET', KEYS[3]) end

redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])
local fence = redis.call('HMGET', KEYS[2], 'gen', 'clk')
return { fence[1], fence[2] or '0' }
