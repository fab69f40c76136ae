#!lua flags=allow-oom
-- Gives a lease back after a load that failed, so that the next reader need not wait for its end.
-- KEYS  1 entry          ARGV  1 `L<id>`
-- Returns 1 when it was still ours. Race closed: somebody else's lease or value is left alone.
if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
