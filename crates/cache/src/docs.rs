//! A page for each capability: what fails without it, how to use it, its round trips to Redis, and what can still go wrong.
//!
//! The pages are the files in `docs`, which the tests of the documentation compile. This module exists only in the documentation.

/// Includes a page. A page links to other pages by their file names. `links.txt` comes first and defines the same links
/// as paths of the modules below: the first definition of a link counts.
macro_rules! pages {
    ($($(#[$items:meta])* $name:ident: $file:literal;)+) => {
        $(
            #[doc = include_str!("docs/links.txt")]
            #[doc = include_str!(concat!("../docs/", $file, ".md"))]
            ///
            /// # Items
            $(#[$items])*
            pub mod $name {}
        )+
    };
}

pages! {
    /// [`Cache::get_or_load`](crate::Cache::get_or_load), [`Cache::read`](crate::Cache::read),
    /// [`Policy::lease`](crate::Policy::lease), [`Policy::load_timeout`](crate::Policy::load_timeout),
    /// [`Policy::wait`](crate::Policy::wait), [`Outcome`](crate::Outcome), [`Fill`](crate::outcome::Fill),
    /// [`FillRefusal`](crate::outcome::FillRefusal), [`with`](crate::with())
    single_flight_and_leases: "single-flight-and-leases";
    /// [`Tag`](crate::Tag), [`NewEntry::tag`](crate::NewEntry::tag), [`NewEntry::absent`](crate::NewEntry::absent),
    /// [`CacheClient::invalidate_tag`](crate::CacheClient::invalidate_tag),
    /// [`Invalidation::tags`](crate::Invalidation::tags),
    /// [`Invalidation::tags_together`](crate::Invalidation::tags_together),
    /// [`CacheSettings::sweep_rest`](crate::CacheSettings::sweep_rest)
    tags: "tags";
    /// [`Policy::soft_ttl`](crate::Policy::soft_ttl), [`Policy::early_refresh`](crate::Policy::early_refresh),
    /// [`EarlyRefresh`](crate::EarlyRefresh), [`Policy::stale_if_error`](crate::Policy::stale_if_error),
    /// [`Policy::soft_load_timeout`](crate::Policy::soft_load_timeout), [`Policy::jitter`](crate::Policy::jitter),
    /// [`Invalidation::soft`](crate::Invalidation::soft)
    stale_entries: "stale-entries";
    /// [`Cache::begin_write`](crate::Cache::begin_write), [`WriteLease`](crate::write_through::WriteLease),
    /// [`Published`](crate::write_through::Published), [`Policy::commit_bound`](crate::Policy::commit_bound)
    write_through: "write-through";
    /// [`Near`](crate::Near), [`Policy::near`](crate::Policy::near),
    /// [`Policy::serve_near_in_outage`](crate::Policy::serve_near_in_outage),
    /// [`CacheSettings::near_bound`](crate::CacheSettings::near_bound),
    /// [`CacheSettings::near_weight`](crate::CacheSettings::near_weight)
    near_cache: "near-cache";
    /// [`Cache::get_or_load_many`](crate::Cache::get_or_load_many), [`Cache::read_many`](crate::Cache::read_many),
    /// [`Cache::load_many_uncached`](crate::Cache::load_many_uncached),
    /// [`Cache::invalidate_many`](crate::Cache::invalidate_many), [`Cache::in_batch`](crate::Cache::in_batch),
    /// [`Batch`](crate::loader::Batch)
    batches: "batches";
    /// [`Values`](crate::Values), [`CacheClient::cache_with`](crate::CacheClient::cache_with), [`codec`](crate::codec)
    values_over_time: "values-over-time";
    /// [`CacheClient::guard`](crate::CacheClient::guard), [`WriteGuard`](crate::write_guard::WriteGuard),
    /// [`Released`](crate::write_guard::Released), [`Cache::requiring`](crate::Cache::requiring),
    /// [`NewEntry::stamp`](crate::NewEntry::stamp),
    /// [`CacheClient::invalidate_in_doubt`](crate::CacheClient::invalidate_in_doubt)
    write_guard: "write-guard";
    /// [`CacheSettings`](crate::CacheSettings), [`Invalidated`](crate::Invalidated), [`Bypass`](crate::outcome::Bypass),
    /// [`CacheClient::health`](crate::CacheClient::health),
    /// [`CacheClient::pending_invalidations`](crate::CacheClient::pending_invalidations),
    /// [`CacheClient::shutdown`](crate::CacheClient::shutdown), [`CacheClient::purge`](crate::CacheClient::purge),
    /// [`Cache::load_uncached`](crate::Cache::load_uncached),
    /// [`Invalidation::key_older_than`](crate::Invalidation::key_older_than), [`LoadError`](crate::error::LoadError)
    failure: "failure";
    /// [`RedisAddress`](crate::RedisAddress), [`CacheSettings::url`](crate::CacheSettings::url),
    /// [`ConnectError`](crate::error::ConnectError)
    reaching_redis: "reaching-redis";
    /// [`Keyspace::partitioned`](crate::Keyspace::partitioned), [`Keyspace::for_redis`](crate::Keyspace::for_redis),
    /// [`CacheSettings::url`](crate::CacheSettings::url)
    cluster: "cluster";
    /// [`Memory`](crate::memory::Memory), [`Clock`](crate::memory::Clock),
    /// [`CacheClient::in_memory`](crate::CacheClient::in_memory),
    /// [`CacheClient::in_memory_with`](crate::CacheClient::in_memory_with)
    without_redis: "without-redis";
    /// [`Outcome`](crate::Outcome), [`CacheClient::feed`](crate::CacheClient::feed), [`feed`](crate::feed),
    /// [`CacheClient::entries`](crate::CacheClient::entries), [`CacheClient::health`](crate::CacheClient::health)
    observability: "observability";
}
