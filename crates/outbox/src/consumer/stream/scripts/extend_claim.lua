#!lua flags=allow-oom
-- Extends a consumer's claim on the entries that it is working on, so that no peer claims them.
--
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group
-- ARGV[2]  the consumer
-- ARGV[3]  the first id of its batch
-- ARGV[4]  the last id of its batch
-- ARGV[5]  the number of entries
--
-- Only entries that the consumer still owns: a process that was frozen must not take back entries that a peer has
-- claimed.
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[2])) do
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], '0', pending[1], 'JUSTID')
end
return redis.status_reply('OK')
