#!lua flags=allow-oom
-- Expires entries: marks them as stale, so that they are still served, and the next reader starts a refresh.
-- KEYS  entries          ARGV  1 a new value id
-- Returns how many values were marked. Race closed: the id changes, so a refresh that began before this call is
-- refused. A lease is removed, so a load that began before this call is refused, too.
local marked = 0
for _, key in ipairs(KEYS) do
  local held = redis.call('GET', key)
  if held and string.sub(held, 1, 1) == 'V' then
    local line = string.find(held, '\n', 1, true)
    local header = string.gsub(string.sub(held, 34, line - 1), ' soft=%d+', ' soft=0', 1)
    redis.call('SET', key, 'V' .. ARGV[1] .. header .. string.sub(held, line), 'KEEPTTL')
    marked = marked + 1
  elseif held then
    redis.call('UNLINK', key)
  end
end
return marked
