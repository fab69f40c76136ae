#!lua flags=allow-oom
-- Releases a lease after a failed load, so that the next reader need not wait until it expires.
-- KEYS  1 entry          ARGV  1 `L<id>`
-- Returns 1 if the caller still held it, else 0. Race closed: another client's lease or value stays.
if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1])
