#!lua flags=allow-oom
-- Begins the horizon anew: it is unknown, and remembers nothing of before.
-- KEYS  1 the horizon          ARGV  1 the claim, a number below zero
-- Race closed: what was touched before has a number up to the head of the log as it is read after this, so it may go;
-- what is touched from here on stays.
redis.call('UNLINK', KEYS[1])
redis.call('ZADD', KEYS[1], ARGV[1], '*')
return 1
