#!lua flags=no-writes
-- Returns the highest watermark; 0 when there is none.
-- KEYS  1 the watermarks
return redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2] or '0'
