#!lua flags=allow-oom
-- Removes from a tag set the members whose entries are gone, a bounded number looked at per call.
-- KEYS  1 tag set          ARGV  1 key prefix, 2 cursor, 3 members to look at
-- Returns {next cursor, `0` at the end; members removed}.
-- Race closed: look and removal are one step, so no entry can be stored in between and lose its registration; one
-- that is stored later is registered with it. A lease is an entry, too.
local page = redis.call('SSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
local removed = 0
for _, member in ipairs(page[2]) do
  if redis.call('EXISTS', ARGV[1] .. member) == 0 then
    removed = removed + redis.call('SREM', KEYS[1], member)
  end
end
return { page[1], removed }
