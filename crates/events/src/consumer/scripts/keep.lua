#!lua flags=allow-oom
-- Touches what a consumer is still working on, so that nobody takes it over.
--
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group
-- ARGV[2]  the consumer
-- ARGV[3]  the first id of its batch
-- ARGV[4]  the last one
-- ARGV[5]  how many there are
--
-- Only entries that are still its own: a process that was frozen must not take back what a peer has claimed.
for _, pending in ipairs(redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[4], ARGV[5], ARGV[2])) do
  redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], '0', pending[1], 'JUSTID')
end
return redis.status_reply('OK')
