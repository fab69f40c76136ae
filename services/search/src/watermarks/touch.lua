#!lua flags=allow-oom
-- Raises tags of the horizon. A script, because caches may fill Redis, and the command alone would be refused then.
-- KEYS  1 the horizon          ARGV  1 the number of the event, 2… the tags
for i = 2, #ARGV do
  redis.call('ZADD', KEYS[1], 'GT', ARGV[1], ARGV[i])
end
return 1
