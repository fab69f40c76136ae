#!lua flags=allow-oom
-- Fences tags without removing anything: the first step of a soft invalidation, and of one of several tags.
-- KEYS  1 fence table; for each tag: its set, and its emptying set
-- ARGV  1 a generation, if there is none yet, 2 fences to keep at most, 3… the tags
-- Returns for each tag how many of its sets exist: 0 means that no entry carries it.
-- Race closed: the commit of a load that began earlier is refused, so a tag without a set needs no further step.
redis.call('HSETNX', KEYS[1], 'gen', ARGV[1])
local clock = redis.call('HINCRBY', KEYS[1], 'clk', 1)
if redis.call('HLEN', KEYS[1]) + #ARGV - 3 > tonumber(ARGV[2]) then
  -- As in invalidate_tag.lua: drop single fences, and refuse every load that began before now instead.
  local gen = redis.call('HGET', KEYS[1], 'gen')
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], 'gen', gen, 'clk', clock, 'floor', clock)
end
local sets = {}
for i = 3, #ARGV do
  redis.call('HSET', KEYS[1], 't:' .. ARGV[i], clock)
  sets[i - 2] = redis.call('EXISTS', KEYS[2 * i - 4], KEYS[2 * i - 3])
end
return sets
