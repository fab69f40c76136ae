#!lua flags=no-writes
-- Returns where a stream ends.
--
-- KEYS[1]  the stream
--
-- Returns the number of the last entry that it was given, 0 when there was none, and the event of its last entry; empty
-- when it has no entry, or that has no field `event`. One script, so that the two belong together.
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  if string.find(info.err, 'no such key', 1, true) then
    return { 0, '' }
  end
  return info
end
local named = {}
for i = 1, #info, 2 do
  named[info[i]] = info[i + 1]
end
local last, entry = named['last-generated-id'], named['last-entry']
local event = ''
-- An entry that was deleted after it was added is the last one no longer.
if entry and entry[1] == last and entry[2][1] == 'event' then
  event = entry[2][2]
end
return { tonumber(string.match(last, '^%d+')), event }
