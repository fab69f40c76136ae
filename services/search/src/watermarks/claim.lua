#!lua flags=allow-oom
-- Resets the watermarks: removes all of them, and marks them as unknown.
-- KEYS  1 the watermarks       ARGV  1 the claim, a negative number
-- Race closed: an event that advanced a watermark before this script has a number up to the head of the log, which the
-- caller reads afterwards, so its watermark may be removed. Watermarks that are advanced from now on stay.
redis.call('UNLINK', KEYS[1])
redis.call('ZADD', KEYS[1], ARGV[1], '*')
return 1
