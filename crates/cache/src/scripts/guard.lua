#!lua flags=allow-oom
-- Places a write guard: until it is released or over, commit.lua stores no entry with one of these names.
-- KEYS  1 guards          ARGV  1 time in ms after which the guard is over, 2… members `<guard id> <name>`, see guarded.lua
-- Returns how many members were added. Race closed: the end is by the clock of Redis, which commit.lua compares, so no
-- clock of a process counts. The set has no TTL, because Redis may evict what has one.
local time = redis.call('TIME')
local ends = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1])
local added = 0
for i = 2, #ARGV do added = added + redis.call('ZADD', KEYS[1], ends, ARGV[i]) end
return added
