//! A search, from what was asked to a page of results. Plain functions of a query and a snapshot of the index.
//!
//! | module | what it is for |
//! |---|---|
//! | [`search`] | what is asked for, in its normal form: the key of its page and the tags that concern it |
//! | [`build`] | the tantivy query: how words match, and what a match is worth |
//! | [`collect`] | one pass over all matches: total, facets, and the best of them behind the cursor |
//! | [`cursor`] | where a page ended |
//! | [`highlight`] | what of a text is shown, and what of that is bold |
//! | [`page`] | the page, from all of these |

pub mod build;
pub mod collect;
pub mod cursor;
pub mod highlight;
pub mod page;
pub mod search;
