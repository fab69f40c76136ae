//! `refresh.lua` and `soften.lua`: what is stale, and brought up to date behind.

use super::{Mutant, mutant};

pub(super) const ALL: &[Mutant] = &[
    mutant(
        "refresh.lua",
        "any value may be refreshed",
        "if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then return nil end",
        "",
        "refreshing::a_reader_that_saw_an_entry_before_it_was_refreshed_does_not_refresh_it_again",
    ),
    mutant(
        "refresh.lua",
        "everybody refreshes",
        "'NX', 'PX', ARGV[2]",
        "'PX', ARGV[2]",
        "refreshing::one_refresh_runs_behind_many_readers_of_many_processes",
    ),
    mutant(
        "refresh.lua",
        "the lock of a refresh has no end",
        ", 'PX', ARGV[2])",
        ")",
        "ttl::every_entry_lease_and_lock_has_a_ttl",
    ),
    mutant(
        "refresh.lua",
        "loads begin with a clock of the future",
        "fence[2] or '0'",
        "'1000000'",
        "refreshing::a_refresh_is_refused_by_a_fence_on_a_tag_that_the_stale_entry_lacks",
    ),
    mutant(
        "refresh.lua",
        "loads begin with a clock of the past",
        "fence[2] or '0'",
        "'0'",
        "refreshing::a_refresh_that_a_soft_invalidation_overtook_stores_nothing_and_another_one_follows",
    ),
    mutant(
        "refresh.lua",
        "there is no generation",
        "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "",
        "generations::whoever_meets_no_generation_makes_one_and_never_the_same_again",
    ),
    mutant(
        "refresh.lua",
        "every generation is the same",
        "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "redis.call('HSETNX', KEYS[2], 'gen', 'g')",
        "generations::whoever_meets_no_generation_makes_one_and_never_the_same_again",
    ),
    mutant(
        "refresh.lua",
        "there is a new generation each time",
        "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])",
        "redis.call('HSET', KEYS[2], 'gen', ARGV[3])",
        "generations::whoever_meets_a_generation_keeps_it",
    ),
    mutant(
        "soften.lua",
        "a softened value stays fresh",
        "' soft=0'",
        "' soft=1000000'",
        "soft::a_softly_invalidated_entry_is_served_stale_and_then_refreshed",
    ),
    mutant(
        "soften.lua",
        "a softened value keeps its id",
        "'V' .. ARGV[1] .. header",
        "string.sub(held, 1, 33) .. header",
        "refreshing::a_refresh_that_a_soft_invalidation_overtook_stores_nothing_and_another_one_follows",
    ),
    mutant(
        "soften.lua",
        "a softened value has no TTL",
        ", 'KEEPTTL')",
        ")",
        "soft::a_softly_invalidated_entry_is_served_stale_and_then_refreshed",
    ),
    mutant(
        "soften.lua",
        "a soft invalidation leaves leases",
        "redis.call('UNLINK', key)",
        "marked = marked",
        "fills::a_late_fill_does_not_undo_a_soft_invalidation",
    ),
    mutant(
        "soften.lua",
        "it needs memory to mark entries",
        "#!lua flags=allow-oom",
        "#!lua",
        "memory::with_memory_full_invalidations_still_work",
    ),
];
