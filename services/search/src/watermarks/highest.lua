#!lua flags=no-writes
-- Returns the highest number that the horizon holds; 0 when it holds none.
-- KEYS  1 the horizon
return redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or '0'
