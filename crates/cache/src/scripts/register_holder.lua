#!lua flags=allow-oom
-- Registers a process that is about to hold a near-cache lease.
-- KEYS  1 register of holders, named after the run id of the server
-- ARGV  1 id of the process, 2 ms for which it may hold the lease, 3 TTL of a register that is no longer used, in s
-- Race closed: an invalidation that Redis executes after this call finds the process, and the length of its lease, for as
-- long as the process may return entries from its memory. The script sends no command that reads the register, because
-- Redis would then track it for the caller. So the script cannot compare lengths, and each length has its own field.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSETNX', KEYS[1], 'since', now)
redis.call('HSETNX', KEYS[1], 'b:' .. ARGV[2], 1)
redis.call('HSET', KEYS[1], 'p:' .. ARGV[1], now + ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
