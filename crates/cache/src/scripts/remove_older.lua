#!lua flags=allow-oom
-- Removes entries that show an older version of their row than the one that is known to be committed.
-- KEYS  entries          ARGV  the version for each of them
-- Returns how many entries were removed.
-- Races closed: a load or a writer that holds the lease may have read the row before that version was committed. It
-- keeps the lease, which now requires the version, and commit.lua refuses anything older. So a value that is new
-- enough, stored already or about to be, stays in the cache.
local removed = 0
for i, key in ipairs(KEYS) do
  local held = redis.pcall('GETRANGE', key, 0, 255)
  -- An error: another program has stored something there that is not a string.
  local kind = type(held) == 'table' and '?' or string.sub(held, 1, 1)
  if kind == 'L' then
    local least = string.match(held, '^L%x+ least=(%d+)$') or '0'
    if is_older(least, ARGV[i]) then
      redis.call('SET', key, string.sub(held, 1, 33) .. ' least=' .. ARGV[i], 'KEEPTTL')
    end
  elseif kind == 'V' then
    local version = string.match(held, '^V%x+ at=%d+ soft=%d+ hard=%d+ ver=(%d+) ')
    if not version or is_older(version, ARGV[i]) then removed = removed + redis.call('UNLINK', key) end
  elseif kind ~= '' then
    removed = removed + redis.call('UNLINK', key)
  end
end
return removed
