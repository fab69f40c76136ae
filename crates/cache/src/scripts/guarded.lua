-- Included by commit.lua after its first line: looks up the write guards of a partition.
--
-- The guards are a sorted set without a TTL. A member is `<guard id> k:<local name>` or `<guard id> t:<tag>`; its score is
-- the time in ms at which its guard is over. Two guards of one name are two members, so the release of one leaves the
-- other.
--
-- Races closed: a load that read the old value before the COMMIT of a guarded write stores nothing while the guard is in
-- place. If a guard was not released, its writer may have committed: a load may have begun before that COMMIT and end
-- after the guard. So the first call of commit.lua after the end of the guard raises the floor, which refuses the fill
-- of every load that began before that call.
-- Memory: that call also removes the members of the guard. A writer that releases the guard later finds them missing,
-- and so learns that the guard did not last.
local function guarded(guards, fence, now)
  local names, over = {}, {}
  if redis.call('EXISTS', guards) == 0 then return names, false end

  local most = 1000
  local found = redis.call('ZRANGE', guards, 0, most, 'WITHSCORES')
  for i = 1, #found, 2 do
    if tonumber(found[i + 1]) <= now then
      over[#over + 1] = found[i]
    else
      names[string.sub(found[i], 34)] = true
    end
  end
  if #over > 0 then
    redis.call('ZREM', guards, unpack(over))
    redis.call('HSET', fence, 'floor', redis.call('HINCRBY', fence, 'clk', 1))
  end
  -- The script examines a bounded number of members, so that a fill stays short. If there are more, no entry is stored.
  return names, #found > 2 * most
end
