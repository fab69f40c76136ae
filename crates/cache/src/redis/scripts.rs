//! The registry of Lua scripts. Each file under `scripts/` names its keys, its arguments, its result and the race that
//! it closes; one function of [`RedisStore`](super::RedisStore) calls it.

use std::fmt;

use fred::types::scripts::Script;

#[derive(Clone)]
pub(crate) struct Scripts {
    pub(crate) acquire: Script,
    pub(crate) take_over: Script,
    pub(crate) refresh: Script,
    pub(crate) commit: Script,
    pub(crate) release: Script,
    pub(crate) invalidate_tag: Script,
    pub(crate) fence_tags: Script,
    pub(crate) remove_older: Script,
    pub(crate) expire: Script,
    pub(crate) sweep: Script,
    pub(crate) guard: Script,
    pub(crate) register_holder: Script,
    pub(crate) list_holders: Script,
    pub(crate) inspect: Script,
}

/// Without their texts, which would hide everything else in the output of a client.
impl fmt::Debug for Scripts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripts").finish_non_exhaustive()
    }
}

/// Returns the commands on the line of a script that an error names: `script: <sha1>, on @user_script:<line>`.
pub(super) fn commands_at(error: &str) -> Option<String> {
    let (_, line) = error.split_once("@user_script:")?;
    let line: usize = line.split(|next: char| !next.is_ascii_digit()).next()?.parse().ok()?;
    let scripts = Scripts::new();
    let script = scripts.all().into_iter().find(|script| error.contains(&**script.sha1()))?;
    let commands = script.lua()?.lines().nth(line.checked_sub(1)?)?.split("call('").skip(1);
    let names: Vec<_> = commands.filter_map(|rest| rest.split('\'').next()).map(str::to_lowercase).collect();
    (!names.is_empty()).then(|| names.join("` or `"))
}

macro_rules! text {
    ($file:literal) => {
        source($file, include_str!(concat!("../scripts/", $file)))
    };
}

macro_rules! script {
    ($file:literal) => {
        Script::from_lua(text!($file))
    };
    ($file:literal, including $($shared:literal),+) => {
        Script::from_lua(including(&text!($file), &[$(text!($shared)),+].concat()))
    };
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            acquire: script!("acquire.lua"),
            take_over: script!("take_over.lua"),
            refresh: script!("refresh.lua"),
            commit: script!("commit.lua", including "is_older.lua", "guarded.lua", "examine.lua"),
            release: script!("release.lua"),
            invalidate_tag: script!("invalidate_tag.lua"),
            fence_tags: script!("fence_tags.lua"),
            remove_older: script!("remove_older.lua", including "is_older.lua"),
            expire: script!("expire.lua"),
            sweep: script!("sweep.lua", including "examine.lua"),
            inspect: script!("inspect.lua"),
            guard: script!("guard.lua"),
            register_holder: script!("register_holder.lua"),
            list_holders: script!("list_holders.lua"),
        }
    }

    fn all(&self) -> [&Script; 14] {
        [
            &self.acquire, &self.take_over, &self.refresh, &self.commit, &self.release, &self.invalidate_tag,
            &self.fence_tags, &self.remove_older, &self.expire, &self.sweep, &self.inspect, &self.guard,
            &self.register_holder, &self.list_holders,
        ]
    }
}

/// Returns a script with the shared parts inserted after its first line, which names the flags and must stay the first.
fn including(script: &str, shared: &str) -> String {
    let (flags, rest) = script.split_once('\n').unwrap_or((script, ""));
    format!("{flags}\n{shared}{rest}")
}

#[cfg(not(mutants))]
fn source(_file: &str, built_in: &str) -> String {
    built_in.to_owned()
}

/// For the mutation run only, which compiles with `--cfg mutants`: reads the script from the folder that
/// `CACHE_SCRIPTS` names.
#[cfg(mutants)]
fn source(file: &str, built_in: &str) -> String {
    match std::env::var_os("CACHE_SCRIPTS") {
        Some(folder) => std::fs::read_to_string(std::path::Path::new(&folder).join(file)).expect("a folder of scripts"),
        None => built_in.to_owned(),
    }
}
