#!lua flags=allow-oom
-- Sets the floor of the watermarks, if the given claim is still current.
-- KEYS  1 the watermarks       ARGV  1 the claim, a negative number, 2 the floor
-- Returns 1 when the floor is set, and 0 otherwise.
-- Race closed: Redis loses the watermarks between the claim and this script. A floor that was read before the loss may
-- be too low.
local floor = redis.call('ZSCORE', KEYS[1], '*')
if not floor or tonumber(floor) ~= tonumber(ARGV[1]) then return 0 end
-- The claim is random, and becomes the id of the new watermarks.
redis.call('ZADD', KEYS[1], ARGV[2], '*', ARGV[1], '#')
return 1
