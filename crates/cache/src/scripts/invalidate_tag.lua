#!lua flags=allow-oom
-- Removes the entries that carry a tag, a bounded number per call.
-- KEYS  1 fence table, 2 tag set, 3 emptying set (the set that is being purged)
-- ARGV  1 tag, 2 stage of this run: `begin`, `queue` or `drain`, 3 members per call, 4 key prefix,
--       5 a generation, if there is none yet, 6 fences to keep at most
-- Returns {entries removed, stage of the run: `queue`, `drain` or `done`}. Call it until the stage is `done`.
-- Races closed: the fence refuses loads that began earlier and are not registered yet. The set is moved aside, so that
-- the run spares entries that are filled after the fence, and ends. A set that another run, or a crashed one, has moved
-- aside is emptied first (`queue`), because sets are never merged: that would take as long as they are large. A member
-- is forgotten only after its entry is removed: in a cluster, the removal fails while the slot migrates.
local stage = ARGV[2]
if stage == 'begin' then
  redis.call('HSETNX', KEYS[1], 'gen', ARGV[5])
  local clock = redis.call('HINCRBY', KEYS[1], 'clk', 1)
  if redis.call('HLEN', KEYS[1]) > tonumber(ARGV[6]) then
    -- Drop single fences, and refuse every load that began before now instead.
    local gen = redis.call('HGET', KEYS[1], 'gen')
    redis.call('UNLINK', KEYS[1])
    redis.call('HSET', KEYS[1], 'gen', gen, 'clk', clock, 'floor', clock)
  end
  redis.call('HSET', KEYS[1], 't:' .. ARGV[1], clock)
  stage = 'queue'
end
if stage == 'queue' and redis.call('EXISTS', KEYS[3]) == 0 then
  if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('RENAME', KEYS[2], KEYS[3]) end
  stage = 'drain'
end

local members = redis.call('SRANDMEMBER', KEYS[3], ARGV[3])
local removed = 0
if #members > 0 then
  local keys = {}
  for i, member in ipairs(members) do keys[i] = ARGV[4] .. member end
  removed = redis.call('UNLINK', unpack(keys))
  redis.call('SREM', KEYS[3], unpack(members))
end
if stage == 'drain' and redis.call('EXISTS', KEYS[3]) == 0 then stage = 'done' end
return { removed, stage }
