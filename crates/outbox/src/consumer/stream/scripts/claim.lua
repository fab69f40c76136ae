#!lua flags=allow-oom
-- Claims pending entries.
--
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group
-- ARGV[2]  the consumer that claims
-- ARGV[3]  the minimum idle time of a claimed entry, in milliseconds
-- ARGV[4]  the maximum number of entries
-- ARGV[5]  the consumer to claim from, or empty for all
--
-- Returns for each entry its id, the number of the preceding entry in the stream (0: there is none), and its fields,
-- which are false if the entry was trimmed or deleted.
--
-- A trimmed or deleted entry stays pending until it is acknowledged, whereas XAUTOCLAIM and XCLAIM would remove it: if
-- the claiming consumer dies before it has fetched the event from the log, a trace must remain. One script, so that
-- only one of two concurrent consumers claims an entry.
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
