-- Included by commit.lua and sweep.lua after their first line: examines registrations, and removes those of entries that no
-- longer exist from the registry and from the tag sets.
--
-- The registry is a sorted set without a TTL. A member is `<bare key> <tag>,<tag>…`, its score the time in ms at which the entry ends.
-- Registrations that are due come first; random ones fill up to `count`, because an entry that was evicted or
-- invalidated is gone before it is due.
--
-- Races closed: the entry is looked for, and its registration removed, in one step. So an entry that is stored before this
-- step is found, and one that is stored after it is registered again. Time (Redis' own) only says where to look: a clock
-- that jumps removes nothing that is there. A member of a tag set, or of a set that an invalidation has moved aside and
-- did not empty because its process died, is named by a registration for as long as it is there, so none is left behind.
local function examine(registry, prefix, count, now)
  local removed, examined, work = 0, 0, 0
  local function look(registration, due)
    local space = string.find(registration, ' ', 1, true)
    local bare = string.sub(registration, 1, space - 1)
    local left = redis.call('PTTL', prefix .. bare)
    examined = examined + 1
    if left == -2 then
      for tag in string.gmatch(string.sub(registration, space + 1), '[^,]+') do
        redis.call('SREM', prefix .. '~tag:' .. tag, bare)
        redis.call('SREM', prefix .. '~drain:' .. tag, bare)
        work = work + 1
      end
      removed = removed + redis.call('ZREM', registry, registration)
    elseif due then
      -- It is there after its time: filled again with other tags, or the clock was set. To be looked at when it ends.
      redis.call('ZADD', registry, string.format('%.0f', now + math.max(left, 1000)), registration)
    end
  end

  local due = redis.call('ZRANGE', registry, '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, count)
  -- A bounded number of steps, however many tags there are: what is left is still due the next time.
  for _, registration in ipairs(due) do
    if work < 1000 then look(registration, true) end
  end
  if #due < count then
    for _, registration in ipairs(redis.call('ZRANDMEMBER', registry, count - #due)) do
      if work < 1000 then look(registration, false) end
    end
  end
  return examined, removed, #due
end
