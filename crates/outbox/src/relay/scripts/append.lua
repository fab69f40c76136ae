#!lua flags=allow-oom
-- Appends numbered events to a stream, each directly after its predecessor, and only to a stream of the same history.
--
-- KEYS[1]  the stream
-- ARGV[1]  the Pub/Sub channel, or empty
-- ARGV[2]  the approximate number of entries that the stream keeps
-- ARGV[3]  1: a stream without entries may begin with any number
-- ARGV[4]  the epoch of the event before the first one, or empty
-- ARGV[5…] four for each event, by number: its number, 1 if it is published to the channel, its epoch, its JSON
--
-- Returns the number of the stream's last entry; 0 if the stream has no entry and may not begin. The error DIVERGED
-- means that the stream has another event under the number of one of these events, or of the event before them.
--
-- Closes the race between several relays: a relay that comes late finds its events in the stream and skips them; a
-- relay that comes early appends nothing and learns from the reply which events are missing. So the stream never has a
-- gap or a duplicate. Closes the race of a relay whose database has been restored after it read the rows: the rows link
-- to no entry.
--
-- PUBLISH comes before XADD, because an error does not undo what a script has written, and a retry skips the events
-- that the stream already has. A refused PUBLISH must leave its event out of the stream: otherwise the retry would
-- succeed, and the message would never be published. After a refused XADD, the retry publishes the message again, which
-- is harmless: an event that is applied twice has the effect of one. No command of another client runs between the two.
--
-- The script needs no free memory (allow-oom): caches that have filled Redis must not stop events. MAXLEN bounds the
-- stream.
local last, tail = 0, false
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if not info.err then
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      last = tonumber(string.match(info[i + 1], '^%d+'))
    elseif info[i] == 'last-entry' then
      tail = info[i + 1]
    end
  end
end

if last == 0 and ARGV[3] ~= '1' then
  return 0
end

local function epoch(entry)
  local read, event = pcall(cjson.decode, entry and entry[2][2] or '')
  return read and type(event) == 'table' and type(event.epoch) == 'string' and event.epoch or ''
end

-- The number and the epoch identify an event and all events before it: one link is enough.
if last > 0 and #ARGV > 4 then
  local known, expected = false, false
  if tonumber(ARGV[5]) == last + 1 then
    known, expected = tail, ARGV[4]
  else
    for i = #ARGV - 3, 5, -4 do
      if tonumber(ARGV[i]) <= last then
        known = redis.call('XRANGE', KEYS[1], ARGV[i], ARGV[i], 'COUNT', 1)[1]
        -- The entry was trimmed. Nothing is appended in this case either, since these rows end before the stream does.
        expected = (known or tonumber(ARGV[i]) == last) and ARGV[i + 2]
        break
      end
    end
  end
  if expected and epoch(known) ~= expected then
    return redis.error_reply('DIVERGED the stream has another history than the outbox')
  end
end

for i = 5, #ARGV, 4 do
  local seq = tonumber(ARGV[i])
  if seq == last + 1 or last == 0 then
    if ARGV[1] ~= '' and ARGV[i + 1] == '1' then
      redis.call('PUBLISH', ARGV[1], ARGV[i + 3])
    end
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], ARGV[i] .. '-0', 'event', ARGV[i + 3])
    last = seq
  elseif seq > last then
    break
  end
end
return last
