#!lua
-- Stores a loaded value, if nothing that could have outdated it happened since its load began.
-- KEYS  1 entry, 2 fence table, 3 refresh lock, 4 registry, 5 guards, 6… one tag set for each tag
-- ARGV  1 what the entry must still hold (`L<id>` or `V<id>`), 2 generation, 3 clock, 4 hard TTL in ms,
--       5 id of the new value, 6 header after `at=`, 7 body, 8 local name of the key, 9 key prefix, 10… tags
-- Returns `stored`, or the reason for the refusal: `lost` (lease expired, taken over or removed), `generation` (fence
-- table lost), `floor` (the load began before fences were dropped, or before a write guard ended unreleased), `fenced`
-- (one of the tags was invalidated in the meantime), `outdated` (the lease requires a later version of the row, see
-- remove_older.lua), `guarded` (a write that outdates the entry may be about to commit, see guarded.lua).
-- Races closed: the late fill, the fill after FLUSHALL, the load in flight that was in no tag set yet, and the
-- value that is readable before its tags are (value and registration are one step).
-- Memory: neither the registry nor a tag set has a TTL. Each fill adds one registration and examines four, so a flood
-- of fills removes what it leaves behind as fast as it adds: in the long run, at most one registration in four is of an
-- entry that is gone, even when Redis evicts.
if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then
  if string.sub(ARGV[1], 1, 1) == 'V' then redis.call('UNLINK', KEYS[3]) end
  return 'lost'
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Before the floor is read, because a guard that is over raises it.
local names, too_many = guarded(KEYS[5], KEYS[2], now)
-- Tags in chunks of some hundred, because Lua passes at most about 8,000 arguments.
local chunk = 250
local clock = tonumber(ARGV[3])
local fence = redis.call('HMGET', KEYS[2], 'gen', 'floor')
local refused
if fence[1] ~= ARGV[2] then
  refused = 'generation'
elseif tonumber(fence[2] or 0) > clock then
  refused = 'floor'
else
  for first = 10, #ARGV, chunk do
    local fields = {}
    for i = first, math.min(first + chunk - 1, #ARGV) do fields[#fields + 1] = 't:' .. ARGV[i] end
    for _, fenced in ipairs(redis.call('HMGET', KEYS[2], unpack(fields))) do
      if tonumber(fenced or 0) > clock then refused = 'fenced' end
    end
  end
end
local least = string.match(redis.call('GETRANGE', KEYS[1], 33, 64), '^ least=(%d+)$')
if least and is_older(string.match(ARGV[6], ' ver=(%d+) ') or '0', least) then
  refused = refused or 'outdated'
end
if too_many or names['k:' .. ARGV[8]] then refused = refused or 'guarded' end
if next(names) then
  for i = 10, #ARGV do
    if names['t:' .. ARGV[i]] then refused = refused or 'guarded' end
  end
end
if refused then
  -- Release what the caller held, the lease or the refresh lock, so that no client waits for it to expire.
  redis.call('UNLINK', string.sub(ARGV[1], 1, 1) == 'L' and KEYS[1] or KEYS[3])
  return refused
end

-- Registrations first: if Redis refuses one, there is no value that an invalidation would not find.
for first = 10, #ARGV, chunk do
  local tags = table.concat(ARGV, ',', first, math.min(first + chunk - 1, #ARGV))
  redis.call('ZADD', KEYS[4], string.format('%.0f', now + ARGV[4]), ARGV[8] .. ' ' .. tags)
end
for i = 6, #KEYS do redis.call('SADD', KEYS[i], ARGV[8]) end
local at = string.format('%.0f', now)
redis.call('SET', KEYS[1], 'V' .. ARGV[5] .. ' at=' .. at .. ' ' .. ARGV[6] .. '\n' .. ARGV[7], 'PX', ARGV[4])
redis.call('UNLINK', KEYS[3])
if #ARGV >= 10 then examine(KEYS[4], ARGV[9], 4, now) end
return 'stored'
