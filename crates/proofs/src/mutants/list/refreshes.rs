//! Mutants of the scripts for stale entries and their background refresh.

use crate::mutants::mutant::{Mutant, mutant};

pub(super) const ALL: &[Mutant] = &[
    mutant(
        "refresh.lua",
        "any value may be refreshed",
        "if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then return nil end",
        "",
        "refreshing::late_reader_does_not_repeat_a_finished_refresh",
    ),
    mutant(
        "refresh.lua",
        "everybody refreshes",
        "'NX', 'PX', ARGV[2]",
        "'PX', ARGV[2]",
        "refreshing::many_readers_of_many_processes_cause_one_refresh",
    ),
    mutant(
        "refresh.lua", "the lock of a refresh has no end", ", 'PX', ARGV[2])", ")",
        "ttl::every_entry_lease_and_lock_has_a_ttl",
    ),
    mutant(
        "refresh.lua",
        "loads begin with a clock of the future",
        "fence[2] or '0'",
        "'1000000'",
        "refreshing::refresh_is_refused_by_a_fence_on_a_tag_of_the_new_value_only",
    ),
    mutant(
        "refresh.lua",
        "loads begin with a clock of the past",
        "fence[2] or '0'",
        "'0'",
        "refreshing::refresh_overtaken_by_a_soft_invalidation_is_refused_and_repeated",
    ),
    mutant(
        "refresh.lua",
        "there is no generation",
        "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "refresh.lua",
        "every generation is the same",
        "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "redis.call('HSETNX', KEYS[2], 'gen', 'g')",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "refresh.lua", "there is a new generation each time", "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "redis.call('HSET', KEYS[2], 'gen', ARGV[3])", "generations::each_script_keeps_an_existing_generation",
    ),
    mutant(
        "soften.lua",
        "a softened value stays fresh",
        "' soft=0'",
        "' soft=1000000'",
        "soft::softly_invalidated_entry_is_served_stale_and_then_refreshed",
    ),
    mutant(
        "soften.lua",
        "a softened value keeps its id",
        "'V' .. ARGV[1] .. header",
        "string.sub(held, 1, 33) .. header",
        "refreshing::refresh_overtaken_by_a_soft_invalidation_is_refused_and_repeated",
    ),
    mutant(
        "soften.lua",
        "a softened value has no TTL",
        ", 'KEEPTTL')",
        ")",
        "soft::softly_invalidated_entry_is_served_stale_and_then_refreshed",
    ),
    mutant(
        "soften.lua", "a soft invalidation leaves leases", "redis.call('UNLINK', key)", "marked = marked",
        "fills::late_fill_is_refused_after_soft_key_invalidation",
    ),
    mutant(
        "soften.lua", "it needs memory to mark entries", "#!lua flags=allow-oom", "#!lua",
        "memory::invalidations_work_with_full_memory",
    ),
];
