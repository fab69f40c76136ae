//! Mutants of `remove_older.lua`, and of the way in which `commit.lua` handles the mark that it leaves on a lease.

use crate::mutants::mutant::{Mutant, mutant};

pub(super) const ALL: &[Mutant] = &[
    mutant(
        "remove_older.lua",
        "an entry that is new enough is removed",
        "if not version or tonumber(version) < tonumber(ARGV[i]) then",
        "if true then",
        "key_older_than::older_entry_is_removed_and_current_entry_stays",
    ),
    mutant(
        "remove_older.lua",
        "versions are compared as texts",
        "tonumber(version) < tonumber(ARGV[i])",
        "version < ARGV[i]",
        "key_older_than::older_entry_is_removed_and_current_entry_stays",
    ),
    mutant(
        "remove_older.lua", "an entry without a version stays", "if not version or tonumber(version)",
        "if version and tonumber(version)", "key_older_than::entry_without_a_version_is_removed",
    ),
    mutant(
        "remove_older.lua", "a lease is not marked", "if kind == 'L' then",
        "if kind == 'L' then elseif kind == 'L' then", "key_older_than::load_of_an_older_version_is_refused",
    ),
    mutant(
        "remove_older.lua", "an earlier event lowers the mark", "if least < tonumber(ARGV[i]) then", "if true then",
        "key_older_than::load_of_an_older_version_is_refused",
    ),
    mutant(
        "commit.lua", "the mark on a lease is not compared", "refused = refused or 'outdated'", "refused = refused",
        "key_older_than::load_of_an_older_version_is_refused",
    ),
    mutant(
        "commit.lua",
        "the version that the mark asks for is refused",
        "or 0) < tonumber(least) then",
        "or 0) <= tonumber(least) then",
        "key_older_than::load_of_the_named_version_keeps_its_lease_and_is_stored",
    ),
];
