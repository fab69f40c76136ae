//! The search from outside: over HTTP, beside a real product API on a real Postgres, with a real Redis.
//!
//! One binary, so that it is linked once. Each test has a database, a Redis and an index of its own and leaves nothing
//! behind.
//!
//! | module | what is tested |
//! |---|---|
//! | `finding` · `paging` | what is found, in which order, how it is shown; page by page |
//! | `understanding` | accents, scripts without spaces, signs in names, long numbers, words that no product has |
//! | `spellings` | words joined, hyphenated or apart; letters that mean the same |
//! | `partial` | products that have half of a query or more; facets of what matches approximately |
//! | `entering` | a cached page is invalidated when a product enters it by any of these |
//! | `overload` | more searches than may run at once |
//! | `changes` | what becomes of a change in the catalogue, whoever made it |
//! | `caching` | pages in Redis: stored, and removed by what they show and by what could enter them |
//! | `replicas` | several processes, one of which lags |
//! | `building` · `restarting` | the first index, the next start, kill -9, damage |
//! | `redis_down` | no Redis, and its return, empty |
//! | `cut_off` | events that cannot be read |
//! | `bad_input` · `standard` | refusals; health, metrics, the API's description |

mod bad_input;
mod building;
mod caching;
mod changes;
mod cut_off;
mod entering;
mod finding;
mod hostile;
mod operations;
mod overload;
mod paging;
mod partial;
mod redis_down;
mod replicas;
mod restarting;
mod restored;
mod spellings;
mod standard;
mod support;
mod understanding;
