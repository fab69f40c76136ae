-- Included by commit.lua and remove_older.lua after their first line: compares two versions of a row by their digits.
--
-- The numbers of Lua are exact only below 2^53, and a version may be any 64-bit number.
local function is_older(version, than)
  if #version ~= #than then return #version < #than end
  return version < than
end
