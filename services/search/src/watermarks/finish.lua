#!lua flags=allow-oom
-- Sets the floor of the horizon, where the claim is still the one that was made for it.
-- KEYS  1 the horizon          ARGV  1 the claim, a number below zero, 2 the floor
-- Returns 1 when it is set.
-- Race closed: Redis loses the horizon between the claim and this; a floor that was read before the loss may be too low.
local floor = redis.call('ZSCORE', KEYS[1], '*')
if not floor or tonumber(floor) ~= tonumber(ARGV[1]) then return 0 end
-- The claim is random: it names the horizon that begins with it.
redis.call('ZADD', KEYS[1], ARGV[2], '*', ARGV[1], '#')
return 1
