#!lua flags=no-writes
-- Returns the state of a stream and the position of its readers.
--
-- KEYS[1]  the stream
-- ARGV[1]  the consumer group, or empty
-- ARGV[2]  without a group: the number up to which the reader has applied everything
--
-- Returns the first number in the stream, the last number that was added, the number of entries ever added, whether the
-- group exists, the number up to which events were delivered, the number of pending entries, the number up to which all
-- delivered events are acknowledged, the oldest unapplied event (or empty), and the newest event in the stream (or
-- empty). One script, so that all values are from the same moment.
local function number(id)
  return tonumber(string.match(id, '^%d+'))
end

local function fields(reply)
  local named = {}
  for i = 1, #reply, 2 do
    named[reply[i]] = reply[i + 1]
  end
  return named
end

local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
if info.err then
  if string.find(info.err, 'no such key', 1, true) then
    return { 0, 0, 0, 0, 0, 0, 0, '', '' }
  end
  return info
end
info = fields(info)
local first = info['first-entry'] and number(info['first-entry'][1]) or 0

local exists, delivered, pending, oldest = 0, ARGV[2], 0, false
if ARGV[1] ~= '' then
  for _, reply in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = fields(reply)
    if group['name'] == ARGV[1] then
      exists, delivered, pending = 1, group['last-delivered-id'], group['pending']
    end
  end
end
local done = number(delivered)
if pending > 0 then
  oldest = redis.call('XPENDING', KEYS[1], ARGV[1])[2]
  done = number(oldest) - 1
elseif exists == 1 or ARGV[1] == '' then
  oldest = '(' .. (string.find(delivered, '-', 1, true) and delivered or delivered .. '-0')
end
local event = ''
if oldest then
  local entry = redis.call('XRANGE', KEYS[1], oldest, '+', 'COUNT', 1)[1]
  event = entry and entry[2][2] or ''
end
local newest = info['last-entry'] and info['last-entry'][2][2] or ''
return {
  first, number(info['last-generated-id']), info['entries-added'], exists, number(delivered), pending, done, event, newest
}
