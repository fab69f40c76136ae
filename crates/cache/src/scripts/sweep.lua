#!lua flags=allow-oom
-- Removes registrations of entries that are gone, from the registry and the tag sets, a bounded number per call.
-- KEYS  1 registry          ARGV  1 key prefix, 2 registrations to look at
-- Returns {looked at, removed, due}: where all that were looked at were due, more may be.
-- Races closed: see examine.lua. It needs no memory, so that it frees some where there is none. It keeps no position, so
-- that a sweep which fails, or a process which ends, leaves nothing to begin again.
local time = redis.call('TIME')
local examined, removed, due = examine(KEYS[1], ARGV[1], tonumber(ARGV[2]), time[1] * 1000 + math.floor(time[2] / 1000))
return { examined, removed, due }
