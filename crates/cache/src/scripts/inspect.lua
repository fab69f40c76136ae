#!lua flags=no-writes
-- Inspects entries without their bodies, which may be long.
-- KEYS  entries
-- Returns {first line, total bytes, remaining ms} for each, or nil if the key is not a string with a TTL.
-- One step, so that the line and the TTL belong to the same value.
local found = {}
for i, key in ipairs(KEYS) do
  local held = redis.pcall('GET', key)
  local left = redis.call('PTTL', key)
  found[i] = false
  if type(held) == 'string' and left >= 0 then
    local line = string.find(held, '\n', 1, true) or 64
    found[i] = { string.sub(held, 1, line), #held, left }
  end
end
return found
