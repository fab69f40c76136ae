#!lua flags=allow-oom
-- Removes consumers that are gone, from a group.
--
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group
-- ARGV[2]  only who has not been heard of for so many milliseconds
-- ARGV[3]  only this one, or empty
--
-- One with pending entries stays: they would go with it. Looked up and removed in one script, so that it cannot be
-- given any in between.
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
