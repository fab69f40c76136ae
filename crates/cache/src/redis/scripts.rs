//! The registry of Lua scripts. Each file under `scripts/` names its keys, arguments, result and the race it closes;
//! one function of [`Store`](super::Store) calls it.

use fred::types::scripts::Script;

/// Every script the cache runs in Redis.
#[derive(Debug, Clone)]
pub(crate) struct Scripts {
    pub(crate) acquire: Script,
    pub(crate) steal: Script,
    pub(crate) refresh: Script,
    pub(crate) commit: Script,
    pub(crate) release: Script,
    pub(crate) invalidate_tag: Script,
    pub(crate) fence_tag: Script,
    pub(crate) soften: Script,
    pub(crate) sweep: Script,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            acquire: Script::from_lua(include_str!("../scripts/acquire.lua")),
            steal: Script::from_lua(include_str!("../scripts/steal.lua")),
            refresh: Script::from_lua(include_str!("../scripts/refresh.lua")),
            commit: Script::from_lua(include_str!("../scripts/commit.lua")),
            release: Script::from_lua(include_str!("../scripts/release.lua")),
            invalidate_tag: Script::from_lua(include_str!("../scripts/invalidate_tag.lua")),
            fence_tag: Script::from_lua(include_str!("../scripts/fence_tag.lua")),
            soften: Script::from_lua(include_str!("../scripts/soften.lua")),
            sweep: Script::from_lua(include_str!("../scripts/sweep.lua")),
        }
    }
}
