#!lua flags=allow-oom
-- Appends a message to the dead letters.
--
-- KEYS[1]  the stream of dead letters
-- ARGV[1]  the approximate number of dead letters to keep
-- ARGV[2…] fields and values
--
-- A script, because Redis refuses the plain command while its memory is full. Without the dead letter, the message
-- could not be acknowledged, and would block all later messages.
return redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 2))
