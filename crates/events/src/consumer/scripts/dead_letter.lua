#!lua flags=allow-oom
-- Appends a message to the dead letters.
--
-- KEYS[1]  the stream of dead letters
-- ARGV[1]  about how many it keeps
-- ARGV[2…] fields and values
--
-- A script, because the command alone is refused while Redis is full: what cannot be set aside could not be acknowledged,
-- and would hold up everything behind it.
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 2))
