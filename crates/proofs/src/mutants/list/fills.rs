//! Mutants of `commit.lua`, and of the leases that it checks.

use crate::mutants::mutant::{Mutant, mutant};

pub(super) const COMMIT: &[Mutant] = &[
    mutant(
        "commit.lua", "a load stores although another one holds the entry by then",
        "if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then", "if false then",
        "fills::lease_belongs_to_one_load",
    ),
    mutant(
        "commit.lua",
        "a refresh that lost keeps its lock",
        "if string.sub(ARGV[1], 1, 1) == 'V' then redis.call('UNLINK', KEYS[3]) end",
        "",
        "refreshing::refresh_overtaken_by_a_soft_invalidation_is_refused_and_repeated",
    ),
    mutant(
        "commit.lua",
        "a load that lost its lease frees the lock of a refresh",
        "if string.sub(ARGV[1], 1, 1) == 'V' then redis.call('UNLINK', KEYS[3]) end",
        "redis.call('UNLINK', KEYS[3])",
        "refreshing::load_that_lost_its_lease_does_not_release_the_lock_of_a_refresh",
    ),
    mutant(
        "commit.lua", "the fence of the first tag is not compared",
        "for first = 10, #ARGV, chunk do\n    local fields", "for first = 11, #ARGV, chunk do\n    local fields",
        "fills::late_fill_is_refused_after_tag_invalidation",
    ),
    mutant(
        "commit.lua", "only the first tag's fence is compared", "unpack(fields)", "fields[1]",
        "fills::late_fill_is_refused_after_tag_invalidation",
    ),
    mutant(
        "commit.lua",
        "only the first hundreds of fences are compared",
        "for first = 10, #ARGV, chunk do\n    local fields",
        "for first = 10, 10 do\n    local fields",
        "registry::entry_with_20_000_tags_is_stored_fenced_removed_and_swept",
    ),
    mutant(
        "commit.lua", "the generation is not compared", "if fence[1] ~= ARGV[2] then", "if false then",
        "fills::late_fill_is_refused_after_loss_of_the_fence_table",
    ),
    mutant(
        "commit.lua",
        "the floor is not compared",
        "elseif tonumber(fence[2] or 0) > clock then",
        "elseif false then",
        "fills::late_fill_is_refused_by_the_floor_after_its_fence_was_dropped",
    ),
    mutant(
        "commit.lua",
        "a floor from before the load refuses it",
        "tonumber(fence[2] or 0) > clock",
        "tonumber(fence[2] or 0) >= clock",
        "fills::late_fill_is_refused_by_the_floor_after_its_fence_was_dropped",
    ),
    mutant(
        "commit.lua",
        "fences are not compared",
        "if tonumber(fenced or 0) > clock then refused = 'fenced' end",
        "refused = refused",
        "fills::late_fill_is_refused_after_tag_invalidation",
    ),
    mutant(
        "commit.lua", "a fence from before the load refuses it", "if tonumber(fenced or 0) > clock",
        "if tonumber(fenced or 0) >= clock", "fills::load_that_began_after_an_invalidation_is_stored",
    ),
    mutant(
        "commit.lua", "a refused fill keeps its lease", "redis.call('UNLINK', string.sub", "local _ = (string.sub",
        "fills::late_fill_is_refused_after_tag_invalidation",
    ),
    mutant(
        "commit.lua",
        "a refused refresh keeps its lock",
        "== 'L' and KEYS[1] or KEYS[3])",
        "== 'L' and KEYS[1] or KEYS[2] .. '.')",
        "refreshing::refresh_is_refused_by_a_fence_on_a_tag_of_the_new_value_only",
    ),
    mutant(
        "commit.lua",
        "a refused refresh removes the entry",
        "string.sub(ARGV[1], 1, 1) == 'L' and KEYS[1] or KEYS[3]",
        "KEYS[1]",
        "refreshing::refresh_is_refused_by_a_fence_on_a_tag_of_the_new_value_only",
    ),
    mutant("commit.lua", "values have no TTL", ", 'PX', ARGV[4])", ")", "ttl::every_entry_lease_and_lock_has_a_ttl"),
    mutant(
        "commit.lua",
        "a refreshed value keeps its id",
        "'V' .. ARGV[5] ..",
        "'V' .. string.sub(ARGV[1], 2) ..",
        "refreshing::refresh_overtaken_by_a_faster_refresh_stores_nothing",
    ),
    mutant(
        "commit.lua", "values are in no tag set", "redis.call('SADD', KEYS[i], ARGV[8])", "local _ = i",
        "tag_sets::value_is_registered_before_it_is_readable",
    ),
    mutant(
        "commit.lua", "values are not in the set of their first tag", "for i = 5, #KEYS do", "for i = 6, #KEYS do",
        "fills::value_with_many_tags_is_removed_by_each_tag",
    ),
    mutant(
        "commit.lua", "values are in the set of their first tag only", "for i = 5, #KEYS do",
        "for i = 5, math.min(5, #KEYS) do", "tag_sets::value_is_registered_before_it_is_readable",
    ),
    mutant(
        "commit.lua",
        "values are not registered",
        "redis.call('ZADD', KEYS[4], string.format('%.0f', now + ARGV[4]), ARGV[8] .. ' ' .. tags)",
        "local _ = tags",
        "registry::every_member_of_a_tag_set_is_registered_after_random_steps",
    ),
    mutant(
        "commit.lua",
        "only the first hundreds of tags are registered",
        "for first = 10, #ARGV, chunk do\n  local tags",
        "for first = 10, math.min(10, #ARGV) do\n  local tags",
        "registry::entry_with_20_000_tags_is_stored_fenced_removed_and_swept",
    ),
    mutant(
        "commit.lua",
        "fills leave the names of entries that are gone",
        "if #ARGV >= 10 then examine(KEYS[4], ARGV[9], 4, now) end",
        "",
        "tag_sets::fills_remove_members_of_missing_entries_from_tag_sets",
    ),
    mutant(
        "commit.lua",
        "fills remove less than they add",
        "examine(KEYS[4], ARGV[9], 4, now)",
        "examine(KEYS[4], ARGV[9], 1, now)",
        "registry::flood_of_entries_with_tags_of_their_own_does_not_fill_redis",
    ),
    mutant(
        "commit.lua",
        "a refresh that stored keeps its lock",
        "redis.call('UNLINK', KEYS[3])\nif #ARGV",
        "if #ARGV",
        "refreshing::many_readers_of_many_processes_cause_one_refresh",
    ),
];

pub(super) const LEASES: &[Mutant] = &[
    mutant(
        "acquire.lua", "a lease is taken whatever is there", "if held then return held end", "",
        "peers::readers_of_many_processes_share_one_load",
    ),
    mutant("acquire.lua", "a lease has no end", ", 'PX', ARGV[2])", ")", "ttl::every_entry_lease_and_lock_has_a_ttl"),
    mutant(
        "acquire.lua", "loads begin with a clock of the future", "fence[2] or '0'", "'1000000'",
        "fills::late_fill_is_refused_after_tag_invalidation",
    ),
    mutant(
        "acquire.lua", "loads begin with a clock of the past", "fence[2] or '0'", "'0'",
        "fills::load_that_began_after_an_invalidation_is_stored",
    ),
    mutant(
        "acquire.lua",
        "there is no generation",
        "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "acquire.lua",
        "every generation is the same",
        "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "redis.call('HSETNX', KEYS[2], 'gen', 'g')",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "acquire.lua", "there is a new generation each time", "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "redis.call('HSET', KEYS[2], 'gen', ARGV[3])", "generations::each_script_keeps_an_existing_generation",
    ),
    mutant(
        "steal.lua", "a stolen lease has no end", ", 'PX', ARGV[2])", ")", "ttl::every_entry_lease_and_lock_has_a_ttl",
    ),
    mutant(
        "steal.lua", "a writer leaves the lease of a reader alone", ", 'PX', ARGV[2])", ", 'PX', ARGV[2], 'NX')",
        "write_through::load_from_before_a_write_loses_its_lease",
    ),
    mutant(
        "steal.lua",
        "loads begin with a clock of the future",
        "fence[2] or '0'",
        "'1000000'",
        "write_through::write_is_refused_after_its_key_or_tag_was_invalidated",
    ),
    mutant(
        "steal.lua",
        "loads begin with a clock of the past",
        "fence[2] or '0'",
        "'0'",
        "write_through::write_after_an_invalidation_of_its_tag_is_stored",
    ),
    mutant(
        "steal.lua",
        "there is no generation",
        "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "steal.lua",
        "every generation is the same",
        "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "redis.call('HSETNX', KEYS[2], 'gen', 'g')",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "steal.lua", "there is a new generation each time", "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "redis.call('HSET', KEYS[2], 'gen', ARGV[3])", "generations::each_script_keeps_an_existing_generation",
    ),
    mutant(
        "release.lua",
        "a failed load gives back the lease of another one",
        "if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then return 0 end",
        "",
        "failing_loads::failed_load_does_not_release_the_lease_of_another_load",
    ),
    mutant(
        "release.lua", "a failed load keeps its lease", "return redis.call('UNLINK', KEYS[1])", "return 1",
        "failing_loads::panic_of_a_loader_releases_the_lease",
    ),
    mutant(
        "release.lua",
        "it needs memory to give a lease back",
        "#!lua flags=allow-oom",
        "#!lua",
        "memory::fill_that_fails_with_full_memory_releases_its_lease",
    ),
];
