#!lua flags=no-writes
-- Returns the end of a stream.
--
-- KEYS[1]  the stream
--
-- Returns the number of the last entry that was added, 0 if there was none, and the event of the last entry. The event
-- is empty if the stream has no entry, or the entry has no field `event`. One script, so that both values belong
-- together.
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
-- If the entry that was added last was deleted, another entry is the last one in the stream.
if entry and entry[1] == last and entry[2][1] == 'event' then
  event = entry[2][2]
end
return { tonumber(string.match(last, '^%d+')), event }
