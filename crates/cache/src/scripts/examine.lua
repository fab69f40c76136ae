-- Included by commit.lua and sweep.lua after their first line: examines registrations, and removes those of entries
-- that no longer exist from the registry and from the tag sets.
--
-- The registry is a sorted set without a TTL. A member is `<local name> <tag>,<tag>…`; its score is the time in ms at
-- which the entry ends. Registrations that are due come first. Random ones fill up to `count`, because an evicted or
-- invalidated entry is gone before it is due.
--
-- Races closed: one step looks for the entry and removes its registration. So an entry that is stored before this step
-- is found, and one that is stored after it is registered again. Time (Redis' own) only selects the candidates: a clock
-- that jumps removes no existing entry. A registration names each member of a tag set, and of a set that an
-- invalidation has moved aside and not emptied because its process died, for as long as the member exists. So no member
-- is left behind. A key with the name of a tag set but of another type has no members; it must not stop the sweep.
local function examine(registry, prefix, count, now)
  local removed, examined, work = 0, 0, 0
  local function look(registration, due)
    local space = string.find(registration, ' ', 1, true)
    local bare = string.sub(registration, 1, space - 1)
    local left = redis.call('PTTL', prefix .. bare)
    examined = examined + 1
    if left == -2 then
      for tag in string.gmatch(string.sub(registration, space + 1), '[^,]+') do
        redis.pcall('SREM', prefix .. '~tag:' .. tag, bare)
        redis.pcall('SREM', prefix .. '~drain:' .. tag, bare)
        work = work + 1
      end
      removed = removed + redis.call('ZREM', registry, registration)
    elseif due then
      -- The entry outlived its score: a fill changed its tags, or the clock was set. Examine it again when it ends.
      redis.call('ZADD', registry, string.format('%.0f', now + math.max(left, 1000)), registration)
    end
  end

  local due = redis.call('ZRANGE', registry, '-inf', string.format('%.0f', now), 'BYSCORE', 'LIMIT', 0, count)
  -- A bounded number of steps, however many tags there are: the rest is still due the next time.
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
