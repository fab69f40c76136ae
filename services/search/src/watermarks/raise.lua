#!lua flags=allow-oom
-- Raises the floor of the horizon, and removes the members that it makes superfluous.
-- KEYS  1 the horizon          ARGV  1 the floor
-- Returns 1 when there is a floor; 0 while it is unknown, which nobody but a claim may end.
local floor = redis.call('ZSCORE', KEYS[1], '*')
if not floor or tonumber(floor) < 0 then return 0 end
redis.call('ZADD', KEYS[1], 'GT', ARGV[1], '*')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '(0', '(' .. ARGV[1])
return 1
