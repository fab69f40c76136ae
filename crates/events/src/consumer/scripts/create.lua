#!lua flags=allow-oom
-- Creates a consumer group, and the stream where there is none; nothing when the group exists.
--
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group
-- ARGV[2]  the id after which the group begins
--
-- A script, because the command alone is refused while Redis is full: caches may fill it, and events have to go on.
local created = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if created.err and not string.find(created.err, 'BUSYGROUP', 1, true) then
  return created
end
return redis.status_reply('OK')
