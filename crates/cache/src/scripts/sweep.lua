#!lua flags=allow-oom
-- Removes registrations of entries that are gone, from the registry and the tag sets, a bounded number per call.
-- KEYS  1 registry          ARGV  1 key prefix, 2 registrations to examine
-- Returns {examined, removed, due}: if all examined ones were due, more may be due.
-- Races closed: see examine.lua. It needs no memory, so it can free some when there is none left. It keeps no position,
-- so a failed sweep or an ended process leaves nothing to be resumed.
local time = redis.call('TIME')
local examined, removed, due = examine(KEYS[1], ARGV[1], tonumber(ARGV[2]), time[1] * 1000 + math.floor(time[2] / 1000))
return { examined, removed, due }
