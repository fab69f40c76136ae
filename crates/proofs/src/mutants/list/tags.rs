//! Mutants of the invalidation of a tag, hard and soft, and of the sweep of the tag sets.

use crate::mutants::mutant::{Mutant, mutant};

pub(super) const REMOVAL: &[Mutant] = &[
    mutant(
        "invalidate_tag.lua",
        "there is no generation",
        "redis.call('HSETNX', KEYS[1], 'gen', ARGV[5])",
        "",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "invalidate_tag.lua",
        "every generation is the same",
        "redis.call('HSETNX', KEYS[1], 'gen', ARGV[5])",
        "redis.call('HSETNX', KEYS[1], 'gen', 'g')",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "invalidate_tag.lua", "there is a new generation each time", "redis.call('HSETNX', KEYS[1], 'gen', ARGV[5])",
        "redis.call('HSET', KEYS[1], 'gen', ARGV[5])", "generations::each_script_keeps_an_existing_generation",
    ),
    mutant(
        "invalidate_tag.lua", "a tag is not fenced", "redis.call('HSET', KEYS[1], 't:' .. ARGV[1], clock)", "",
        "fills::late_fill_is_refused_after_tag_invalidation",
    ),
    mutant(
        "invalidate_tag.lua", "the clock stands still", "redis.call('HINCRBY', KEYS[1], 'clk', 1)",
        "tonumber(redis.call('HGET', KEYS[1], 'clk') or 1)", "fills::late_fill_is_refused_after_tag_invalidation",
    ),
    mutant(
        "invalidate_tag.lua", "the fence table has no bound", "> tonumber(ARGV[6])", "> 1e9",
        "fills::fence_table_is_bounded",
    ),
    mutant(
        "invalidate_tag.lua",
        "folded fences leave no floor",
        ", 'clk', clock, 'floor', clock)",
        ", 'clk', clock)",
        "fills::late_fill_is_refused_by_the_floor_after_its_fence_was_dropped",
    ),
    mutant(
        "invalidate_tag.lua",
        "with the fences the clock is forgotten",
        "'gen', gen, 'clk', clock, 'floor'",
        "'gen', gen, 'floor'",
        "fills::late_fill_is_refused_by_the_floor_after_its_fence_was_dropped",
    ),
    mutant(
        "invalidate_tag.lua",
        "with the fences the generation is forgotten",
        "'gen', gen, 'clk'",
        "'gen', clock, 'clk'",
        "fills::late_fill_is_refused_by_the_floor_after_its_fence_was_dropped",
    ),
    mutant(
        "invalidate_tag.lua", "folded fences stay", "redis.call('UNLINK', KEYS[1])", "",
        "fills::fence_table_is_bounded",
    ),
    mutant(
        "invalidate_tag.lua",
        "what a crashed drain left is forgotten",
        "and redis.call('EXISTS', KEYS[3]) == 0 then\n  if",
        "then\n  if",
        "tag_sets::rest_of_a_crashed_tag_invalidation_is_removed_by_the_next_one",
    ),
    mutant(
        "invalidate_tag.lua",
        "a run ends with what a crashed one left",
        "if stage == 'drain' and redis.call('EXISTS', KEYS[3]) == 0 then",
        "if redis.call('EXISTS', KEYS[3]) == 0 then",
        "tag_sets::rest_of_a_crashed_tag_invalidation_is_removed_by_the_next_one",
    ),
    mutant(
        "invalidate_tag.lua",
        "the set is not moved aside",
        "redis.call('RENAME', KEYS[2], KEYS[3])",
        "redis.call('EXISTS', KEYS[2])",
        "tag_sets::tag_of_thousands_of_entries_is_removed_in_bounded_steps",
    ),
    mutant(
        "invalidate_tag.lua",
        "a run spares nothing that is filled meanwhile",
        "  stage = 'drain'",
        "  stage = 'queue'",
        "tag_sets::tag_of_thousands_of_entries_is_removed_in_bounded_steps",
    ),
    mutant(
        "invalidate_tag.lua",
        "all members are taken at once",
        "redis.call('SPOP', KEYS[3], ARGV[3])",
        "redis.call('SPOP', KEYS[3], 7000)",
        "tag_sets::tag_of_thousands_of_entries_is_removed_in_bounded_steps",
    ),
    mutant(
        "invalidate_tag.lua",
        "members are removed under another name",
        "members[i] = ARGV[4] .. member",
        "members[i] = member",
        "tag_sets::tag_of_thousands_of_entries_is_removed_in_bounded_steps",
    ),
    mutant(
        "invalidate_tag.lua",
        "members are taken out and not removed",
        "redis.call('UNLINK', unpack(members))",
        "#members",
        "tag_sets::entry_with_changed_tags_is_removed_by_its_new_tags",
    ),
    mutant(
        "invalidate_tag.lua",
        "the first call is the last",
        "if stage == 'drain' and redis.call('EXISTS', KEYS[3]) == 0 then",
        "if true then",
        "tag_sets::tag_of_thousands_of_entries_is_removed_in_bounded_steps",
    ),
    mutant(
        "invalidate_tag.lua", "it needs memory to invalidate", "#!lua flags=allow-oom", "#!lua",
        "memory::invalidations_work_with_full_memory",
    ),
];

pub(super) const FENCE: &[Mutant] = &[
    mutant(
        "fence_tag.lua",
        "there is no generation",
        "redis.call('HSETNX', KEYS[1], 'gen', ARGV[2])",
        "",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "fence_tag.lua",
        "every generation is the same",
        "redis.call('HSETNX', KEYS[1], 'gen', ARGV[2])",
        "redis.call('HSETNX', KEYS[1], 'gen', 'g')",
        "generations::each_script_creates_a_missing_generation_that_is_unique",
    ),
    mutant(
        "fence_tag.lua", "there is a new generation each time", "redis.call('HSETNX', KEYS[1], 'gen', ARGV[2])",
        "redis.call('HSET', KEYS[1], 'gen', ARGV[2])", "generations::each_script_keeps_an_existing_generation",
    ),
    mutant(
        "fence_tag.lua", "a tag is not fenced", "redis.call('HSET', KEYS[1], 't:' .. ARGV[1], clock)", "",
        "fills::late_fill_is_refused_after_soft_tag_invalidation",
    ),
    mutant(
        "fence_tag.lua", "the clock stands still", "redis.call('HINCRBY', KEYS[1], 'clk', 1)",
        "tonumber(redis.call('HGET', KEYS[1], 'clk') or 1)", "fills::late_fill_is_refused_after_soft_tag_invalidation",
    ),
    mutant(
        "fence_tag.lua", "the fence table has no bound", "> tonumber(ARGV[3])", "> 1e9",
        "fills::fence_table_is_bounded",
    ),
    mutant(
        "fence_tag.lua",
        "folded fences leave no floor",
        ", 'clk', clock, 'floor', clock)",
        ", 'clk', clock)",
        "fills::late_fill_is_refused_by_the_floor_after_its_fence_was_dropped",
    ),
    mutant(
        "fence_tag.lua",
        "with the fences the clock is forgotten",
        "'gen', gen, 'clk', clock, 'floor'",
        "'gen', gen, 'floor'",
        "fills::late_fill_is_refused_by_the_floor_after_its_fence_was_dropped",
    ),
    mutant(
        "fence_tag.lua",
        "with the fences the generation is forgotten",
        "'gen', gen, 'clk'",
        "'gen', clock, 'clk'",
        "fills::late_fill_is_refused_by_the_floor_after_its_fence_was_dropped",
    ),
    mutant("fence_tag.lua", "folded fences stay", "redis.call('UNLINK', KEYS[1])", "", "fills::fence_table_is_bounded"),
    mutant(
        "fence_tag.lua", "it needs memory to fence", "#!lua flags=allow-oom", "#!lua",
        "memory::invalidations_work_with_full_memory",
    ),
];

pub(super) const EXAMINE: &[Mutant] = &[
    mutant(
        "examine.lua", "entries that are there lose their registration", "if left == -2 then", "if true then",
        "tag_sets::value_is_registered_before_it_is_readable",
    ),
    mutant(
        "examine.lua",
        "tag sets keep their members",
        "redis.call('SREM', prefix .. '~tag:' .. tag, bare)",
        "",
        "tag_sets::fills_remove_members_of_missing_entries_from_tag_sets",
    ),
    mutant(
        "examine.lua", "sets that were moved aside keep their members",
        "redis.call('SREM', prefix .. '~drain:' .. tag, bare)", "",
        "registry::tag_set_left_by_a_crashed_invalidation_is_swept",
    ),
    mutant(
        "examine.lua",
        "registrations stay",
        "redis.call('ZREM', registry, registration)",
        "1",
        "registry::every_member_of_a_tag_set_is_registered_after_random_steps",
    ),
    mutant(
        "examine.lua", "what is due is found by chance only", "'BYSCORE', 'LIMIT', 0, count)",
        "'BYSCORE', 'LIMIT', 0, 0)", "registry::sweep_removes_due_registrations_and_no_others",
    ),
    mutant(
        "examine.lua",
        "what was evicted is left until it is due",
        "if #due < count then",
        "if false then",
        "registry::tag_sets_of_evicted_entries_are_swept_long_before_they_are_due",
    ),
    mutant(
        "examine.lua",
        "what is there after its time is looked at again and again",
        "elseif due then",
        "elseif false then",
        "registry::sweep_keeps_the_registration_of_an_entry_that_outlives_its_score",
    ),
];

pub(super) const SWEEP: &[Mutant] = &[mutant(
    "sweep.lua", "it needs memory to sweep", "#!lua flags=allow-oom", "#!lua", "memory::sweep_works_with_full_memory",
)];
