#!lua flags=allow-oom
-- Takes over entries that somebody was given and has not acknowledged.
--
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group
-- ARGV[2]  the consumer that takes
-- ARGV[3]  only what nobody has touched for so many milliseconds
-- ARGV[4]  at most so many
-- ARGV[5]  only from this consumer, or empty
--
-- Returns for each its id, the number of the entry before it in the stream (0: there is none), and its fields, which are
-- false when it was trimmed or deleted.
--
-- Such an entry stays pending until it is acknowledged, where XAUTOCLAIM and XCLAIM would forget it: whoever takes it
-- and dies before it has fetched the event from the log must leave a trace. In one script, so that of two that take,
-- one gets it.
local wanted = { 'XPENDING', KEYS[1], ARGV[1], 'IDLE', ARGV[3], '-', '+', ARGV[4] }
if ARGV[5] ~= '' then
  wanted[#wanted + 1] = ARGV[5]
end
local taken = {}
for _, pending in ipairs(redis.call(unpack(wanted))) do
  local id = pending[1]
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if entry then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], '0', id)
  end
  local before = redis.call('XREVRANGE', KEYS[1], '(' .. id, '-', 'COUNT', 1)[1]
  taken[#taken + 1] = {
    id,
    before and tonumber(string.match(before[1], '^%d+')) or 0,
    entry and entry[2] or false,
  }
end
return taken
