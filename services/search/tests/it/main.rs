//! Integration tests of the search over HTTP, with a real product API, Postgres and Redis.
//!
//! All tests are in one binary, so that it is linked once. Each test has its own database, Redis and index, and removes
//! them.
//!
//! | module | what is tested |
//! |---|---|
//! | `finding` | which products are found, in which order, and how they are shown; page by page |
//! | `understanding` | accents, scripts without spaces, signs in names, long numbers, words that no product has; spellings |
//! | `partial` | products with at least half of a query; facets of approximate matches |
//! | `entering` | a cached page is invalidated when a product enters it by any of these |
//! | `changes` | changes in the catalogue, including changes made in psql; events that cannot be read |
//! | `caching` | result pages in Redis: stored, shared and invalidated |
//! | `replicas` | several replicas, one of which lags |
//! | `building` · `restarting` | the first index, restarts, kill -9, damage |
//! | `restored` | the shop's database is restored from a backup |
//! | `redis_down` | Redis is unavailable, and returns; more searches than may run at once |
//! | `bad_input` | invalid parameters and their description; metrics; the end of the process |
//! | `suite` | what every service passes: standard routes, the API's description, hostile clients, access, settings |

mod bad_input;
mod building;
mod caching;
mod changes;
mod entering;
mod finding;
mod partial;
mod redis_down;
mod replicas;
mod restarting;
mod restored;
mod suite;
mod support;
mod tokens;
mod understanding;
