#!lua flags=allow-oom
-- Advances the watermarks of tags. A script with allow-oom, because cache entries may fill Redis, and then Redis would
-- refuse the command alone.
-- KEYS  1 the watermarks       ARGV  1 the number of the event, 2… the tags
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'GT', ARGV[1], ARGV[i])
end
return 1
