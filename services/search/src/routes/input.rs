//! Parsing of request parameters into a [`Search`], or into a problem.

use serde::Deserialize;
use service::problem::{FieldError, Problem};
use utoipa::IntoParams;

use crate::query::cursor::Cursor;
use crate::query::search::{Filter, QueryTerms, Search};

/// The maximum length of a query, in characters.
const LONGEST: usize = 200;

/// The parameters of a search.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct SearchQuery {
    /// The query, with at most 200 characters. Only words count; signs count only in names such as `C++`. The last word
    /// may be unfinished. An empty query returns the whole catalogue.
    #[param(nullable = false, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", example = "lamp")]
    q: Option<String>,
    /// Only products in the category with this id.
    #[param(nullable = false, minimum = 1)]
    category: Option<i64>,
    /// Only products with at least this price in cents.
    #[param(nullable = false, minimum = 0)]
    min_price: Option<i64>,
    /// Only products with at most this price in cents.
    #[param(nullable = false, minimum = 0)]
    max_price: Option<i64>,
    /// The maximum number of products on the page: 1 to 100, by default 20.
    #[param(nullable = false, minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The `next_cursor` of the previous page, with the same query and filters.
    #[param(nullable = false, pattern = r"^(s|t|pt?)\.[0-9a-f]{1,8}\.[0-9a-f]{1,16}\.[0-9a-f]{1,8}$")]
    cursor: Option<String>,
}

impl SearchQuery {
    /// Validates the parameters.
    ///
    /// # Errors
    /// Returns a problem that names every invalid parameter.
    pub(super) fn checked(self) -> Result<Search, Problem> {
        let mut errors = Vec::new();
        let mut refuse = |holds: bool, field: &str, message: &str| {
            if !holds {
                errors.push(FieldError::new(field, message));
            }
        };
        let q = self.q.unwrap_or_default();
        refuse(q.chars().count() <= LONGEST, "q", "must have at most 200 characters");
        refuse(!q.chars().any(char::is_control), "q", "must not have control characters");
        refuse(self.category.is_none_or(|id| id > 0), "category", "must be above zero");
        refuse(self.min_price.is_none_or(|price| price >= 0), "min_price", "must not be negative");
        refuse(self.max_price.is_none_or(|price| price >= 0), "max_price", "must not be negative");
        let in_order = !matches!((self.min_price, self.max_price), (Some(least), Some(most)) if least > most);
        refuse(in_order, "min_price", "must not be above max_price");
        let limit = usize::try_from(self.limit.unwrap_or(20)).ok().filter(|limit| (1..=100).contains(limit));
        refuse(limit.is_some(), "limit", "must be between 1 and 100");
        let filter = Filter { category: self.category, min_price: self.min_price, max_price: self.max_price };
        let search = Search { about: QueryTerms::parse(&q), filter, limit: limit.unwrap_or(1), cursor: None };
        let cursor = self.cursor.as_deref().map(Cursor::parse);
        refuse(cursor != Some(None), "cursor", "is not one that a page has returned");
        let cursor = cursor.flatten();
        let is_ours = cursor.is_none_or(|cursor| cursor.is_of(&search.subject()));
        refuse(is_ours, "cursor", "is of another query or filter");
        if errors.is_empty() { Ok(Search { cursor, ..search }) } else { Err(Problem::invalid_fields(errors)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::cursor::{MatchMode, SortPosition};

    fn refused(query: SearchQuery) -> String {
        query.checked().expect_err("it should be refused").to_string()
    }

    #[test]
    fn invalid_parameter_is_refused_by_name() {
        let q = |q: &str| SearchQuery { q: Some(q.to_owned()), ..SearchQuery::default() };
        let cursor = |cursor: String| SearchQuery { cursor: Some(cursor), ..q("lamp") };
        for (query, field) in [
            (q(&"a".repeat(201)), "q:"),
            (q("a\0b"), "q:"),
            (SearchQuery { limit: Some(0), ..q("") }, "limit:"),
            (SearchQuery { limit: Some(101), ..q("") }, "limit:"),
            (SearchQuery { category: Some(0), ..q("") }, "category:"),
            (SearchQuery { max_price: Some(-1), ..q("") }, "max_price:"),
            (SearchQuery { min_price: Some(2), max_price: Some(1), ..q("") }, "min_price:"),
            (cursor("lamp".to_owned()), "cursor:"),
            (cursor(Cursor::new(MatchMode::Strict, SortPosition { score: 1, id: 1 }, "q=desk").to_string()), "cursor:"),
        ] {
            let refusal = refused(query);
            assert!(refusal.contains(field), "{refusal}");
        }
        assert!(q(&"ü".repeat(200)).checked().is_ok());
        assert_eq!(q("").checked().map(|search| search.limit).ok(), Some(20));
    }
}
