//! A search, from the query to a page of results. All functions depend only on a query and a snapshot of the index.
//!
//! | module | purpose |
//! |---|---|
//! | [`search`] | the query in its normal form: the key of its page and the tags that concern it |
//! | [`build`] | the tantivy query: how words match, and how a match is scored |
//! | [`collect`] | one pass over all matches: total, facets, and the best of them after the cursor |
//! | [`cursor`] | the position where a page ended |
//! | [`highlight`] | the shown part of a text, with matches in bold |
//! | [`page`] | builds the page from all of these |

pub mod build;
pub mod collect;
pub mod cursor;
pub mod highlight;
pub mod page;
pub mod search;
