#!lua flags=allow-oom
-- Removes departed consumers from a group.
--
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group
-- ARGV[2]  the minimum idle time of a removed consumer, in milliseconds
-- ARGV[3]  the only consumer to remove, or empty for all
--
-- A consumer with pending entries stays, because its removal would remove them too. One script checks and removes, so
-- that no entry can be delivered to the consumer in between.
for _, reply in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local consumer = {}
  for i = 1, #reply, 2 do
    consumer[reply[i]] = reply[i + 1]
  end
  local meant = ARGV[3] == '' or consumer['name'] == ARGV[3]
  if meant and consumer['pending'] == 0 and consumer['idle'] >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer['name'])
  end
end
return redis.status_reply('OK')
