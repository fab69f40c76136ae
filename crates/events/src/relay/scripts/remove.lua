-- Removes a stream with its groups, if it still ends where the caller has seen it end.
--
-- KEYS[1]  the stream
-- ARGV[1]  the number that it ended with
--
-- Returns 1 when it is removed, 0 when it has changed meanwhile.
--
-- Closes the race of several relays that find the same foreign stream: the first one removes it, and what that one has
-- begun in its place is left alone by the others.
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  return 0
end
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' and string.match(info[i + 1], '^%d+') == ARGV[1] then
    return redis.call('UNLINK', KEYS[1])
  end
end
return 0
