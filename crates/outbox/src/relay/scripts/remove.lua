-- Removes a stream with its groups, if it still ends with the number that the caller has seen.
--
-- KEYS[1]  the stream
-- ARGV[1]  the number with which the stream ended
--
-- Returns 1 if the stream was removed, 0 if it has changed in the meantime.
--
-- Closes the race between several relays that find the same foreign stream: the first relay removes it, and the others
-- leave the new stream that it has begun alone.
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
