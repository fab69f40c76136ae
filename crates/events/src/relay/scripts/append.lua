#!lua flags=allow-oom
-- Appends numbered events to a stream, each only directly behind its predecessor.
--
-- KEYS[1]  the stream
-- ARGV[1]  the Pub/Sub channel, or empty
-- ARGV[2]  about how many entries the stream keeps
-- ARGV[3]  1: a stream without entries may begin with any number
-- ARGV[4…] three for each event, by number: its number, 1 when the channel is to hear of it, its JSON
--
-- Returns the number of the stream's last entry; 0 when it has none and may not begin.
--
-- Closes the race of several relays: whoever is late finds its events there and passes over them, whoever is early
-- appends nothing and learns from the answer what is missing. So the stream never has a hole, nor an event twice.
--
-- It needs no free memory (allow-oom): caches that have filled Redis must not stop events. MAXLEN bounds the stream.
local last = 0
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not info.err then
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      last = tonumber(string.match(info[i + 1], '^%d+'))
    end
  end
end

if last == 0 and ARGV[3] ~= '1' then
  return 0
end
for i = 4, #ARGV, 3 do
  local seq = tonumber(ARGV[i])
  if seq == last + 1 or last == 0 then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], ARGV[i] .. '-0', 'event', ARGV[i + 2])
    if ARGV[1] ~= '' and ARGV[i + 1] == '1' then
      redis.call('PUBLISH', ARGV[1], ARGV[i + 2])
    end
    last = seq
  elseif seq > last then
    break
  end
end
return last
