//! The mutants: each takes one defence out of one script.

/// One change of one script.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mutant {
    /// What is taken out.
    pub(super) name: &'static str,
    /// The script's file.
    pub(super) script: &'static str,
    /// What stands there, once.
    pub(super) defence: &'static str,
    /// What stands there instead.
    pub(super) instead: &'static str,
}

const fn mutant(name: &'static str, script: &'static str, defence: &'static str, instead: &'static str) -> Mutant {
    Mutant { name, script, defence, instead }
}

pub(super) const ALL: [Mutant; 32] = [
    mutant(
        "a load stores whoever holds the entry by then",
        "commit.lua",
        "if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then",
        "if false then",
    ),
    mutant("the generation is not compared", "commit.lua", "if fence[1] ~= ARGV[2] then", "if false then"),
    mutant(
        "the floor is not compared",
        "commit.lua",
        "elseif tonumber(fence[2] or 0) > clock then",
        "elseif false then",
    ),
    mutant(
        "fences are not compared",
        "commit.lua",
        "if tonumber(fence[i] or 0) > clock then refused = 'fenced' end",
        "refused = refused",
    ),
    mutant("only the first tag's fence is compared", "commit.lua", "for i = 3, #fields do", "for i = 3, 3 do"),
    mutant("values are in no tag set", "commit.lua", "redis.call('SADD', KEYS[i], ARGV[8])", "local _ = i"),
    mutant("a refused fill keeps its lease", "commit.lua", "redis.call('UNLINK', string.sub", "local _ = (string.sub"),
    mutant(
        "a refresh that lost keeps its lock",
        "commit.lua",
        "if string.sub(ARGV[1], 1, 1) == 'V' then redis.call('UNLINK', KEYS[3]) end",
        "",
    ),
    mutant("values have no TTL", "commit.lua", ", 'PX', ARGV[4])", ")"),
    mutant(
        "tag sets keep the names of entries that are gone",
        "commit.lua",
        "if redis.call('EXISTS', ARGV[9] .. member) == 0 then redis.call('SREM', KEYS[i], member) end",
        "",
    ),
    mutant("a lease is taken whatever is there", "acquire.lua", "if held then return held end", ""),
    mutant("a lease has no end", "acquire.lua", ", 'PX', ARGV[2])", ")"),
    mutant("loads begin with a clock of the future", "acquire.lua", "fence[2] or '0'", "'1000000'"),
    mutant("there is no generation", "acquire.lua", "redis.call('HSETNX', KEYS[2], 'gen', ARGV[3])", ""),
    mutant("a stolen lease has no end", "steal.lua", ", 'PX', ARGV[2])", ")"),
    mutant(
        "a writer leaves the lease of a reader alone",
        "steal.lua",
        "redis.call('SET', KEYS[1], 'L' .. ARGV[1], 'PX', ARGV[2])",
        "redis.call('SET', KEYS[1], 'L' .. ARGV[1], 'PX', ARGV[2], 'NX')",
    ),
    mutant("a tag is not fenced", "invalidate_tag.lua", "redis.call('HSET', KEYS[1], 't:' .. ARGV[1], clock)", ""),
    mutant(
        "the clock stands still",
        "invalidate_tag.lua",
        "redis.call('HINCRBY', KEYS[1], 'clk', 1)",
        "tonumber(redis.call('HGET', KEYS[1], 'clk') or 1)",
    ),
    mutant("the fence table has no bound", "invalidate_tag.lua", "> tonumber(ARGV[6])", "> 1e9"),
    mutant("folded fences leave no floor", "invalidate_tag.lua", ", 'clk', clock, 'floor', clock)", ", 'clk', clock)"),
    mutant(
        "what a crashed drain left is forgotten",
        "invalidate_tag.lua",
        "and redis.call('EXISTS', KEYS[3]) == 0 then\n  if",
        "then\n  if",
    ),
    mutant(
        "members are taken out and not removed",
        "invalidate_tag.lua",
        "redis.call('UNLINK', unpack(members))",
        "#members",
    ),
    mutant(
        "the first call is the last",
        "invalidate_tag.lua",
        "if stage == 'drain' and redis.call('EXISTS', KEYS[3]) == 0 then",
        "if true then",
    ),
    mutant(
        "all members are taken at once",
        "invalidate_tag.lua",
        "redis.call('SPOP', KEYS[3], ARGV[3])",
        "redis.call('SPOP', KEYS[3], 7000)",
    ),
    mutant("it needs memory to invalidate", "invalidate_tag.lua", "#!lua flags=allow-oom", "#!lua"),
    mutant(
        "a soft invalidation does not fence",
        "fence_tag.lua",
        "redis.call('HSET', KEYS[1], 't:' .. ARGV[1], clock)",
        "",
    ),
    mutant(
        "any value may be refreshed",
        "refresh.lua",
        "if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then return nil end",
        "",
    ),
    mutant("everybody refreshes", "refresh.lua", "'NX', 'PX', ARGV[2]", "'PX', ARGV[2]"),
    mutant(
        "whoever fails gives back the lease of others",
        "release.lua",
        "if redis.call('GETRANGE', KEYS[1], 0, 32) ~= ARGV[1] then return 0 end",
        "",
    ),
    mutant(
        "a softened value keeps its id",
        "soften.lua",
        "'V' .. ARGV[1] .. header",
        "string.sub(held, 1, 33) .. header",
    ),
    mutant("a soft invalidation leaves leases", "soften.lua", "redis.call('UNLINK', key)", "marked = marked"),
    mutant(
        "the sweep forgets entries that are there",
        "sweep.lua",
        "if redis.call('EXISTS', ARGV[1] .. member) == 0 then",
        "if true then",
    ),
];
