#!lua flags=allow-oom
-- Raises the floor of the watermarks, and removes the members that become redundant.
-- KEYS  1 the watermarks       ARGV  1 the floor
-- Returns 1 when there is a floor; 0 while it is unknown. Only the script of the current claim may set an unknown
-- floor.
local floor = redis.call('ZSCORE', KEYS[1], '*')
if not floor or tonumber(floor) < 0 then return 0 end
redis.call('ZADD', KEYS[1], 'GT', ARGV[1], '*')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(0', '(' .. ARGV[1])
return 1
