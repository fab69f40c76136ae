#!lua flags=allow-oom
-- Creates a consumer group, and the stream if it is missing; does nothing if the group exists.
--
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group
-- ARGV[2]  the id after which the group begins
--
-- A script, because Redis refuses the plain command while its memory is full: caches may fill it, but events must
-- continue.
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if created.err and not string.find(created.err, 'BUSYGROUP', 1, true) then
  return created
end
return redis.status_reply('OK')
