#!lua flags=no-writes
-- Looks at entries: what they hold but for the body, which may be long.
-- KEYS  entries
-- Returns for each {first line, bytes in all, ms left}, or nil where there is no string that ends by itself.
-- One step, so that the line and the time are of one value.
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
