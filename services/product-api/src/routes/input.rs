//! What comes in, parsed into small types or refused with a problem.

use std::fmt::Display;
use std::str::FromStr;

use garde::Validate;
use runtime::problem::{FieldError, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::catalogue::ProductId;
use crate::strategies::Strategy;

/// Reads an id from a path.
pub(super) fn id<T: FromStr<Err: Display>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::malformed(format!("The path names no id: {error}.")))
}

/// Reads a strategy from a path.
pub(super) fn strategy(name: &str) -> Result<Strategy, Problem> {
    name.parse().map_err(|()| {
        let names = Strategy::ALL.map(Strategy::name).join(", ");
        Problem::not_found(format!("There is no such strategy; there are {names}."))
    })
}

/// Checks a body's fields against their bounds.
pub(super) fn valid<T: Validate<Context = ()>>(input: T) -> Result<T, Problem> {
    match input.validate() {
        Ok(()) => Ok(input),
        Err(report) => Err(Problem::invalid_fields(
            report.iter().map(|(path, error)| FieldError::new(path.to_string(), error.to_string())).collect(),
        )),
    }
}

/// A page of the catalogue.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// 1 to 500 products, 50 by default.
    #[param(nullable = false, minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// As `next_cursor` gave it.
    #[param(nullable = false, pattern = r"^(0|[1-9][0-9]{0,18})$")]
    cursor: Option<String>,
    /// Instead of a page: these products, as far as they exist; at most 500 ids with commas between them.
    #[param(nullable = false, pattern = r"^[1-9][0-9]{0,18}(,[1-9][0-9]{0,18}){0,499}$")]
    ids: Option<String>,
}

/// What is asked for.
pub(super) enum Page {
    /// After this id, so many.
    After(i64, i64),
    /// These.
    Of(Vec<i64>),
}

impl PageQuery {
    /// What is asked for, or what is wrong with it.
    pub(super) fn checked(&self) -> Result<Page, Problem> {
        if let Some(ids) = &self.ids {
            return self.named(ids);
        }
        let limit = self.limit.unwrap_or(50);
        if !(1..=500).contains(&limit) {
            return Err(Problem::invalid_field("limit", "must be between 1 and 500"));
        }
        let after = match self.cursor.as_deref() {
            None | Some("0") => 0,
            Some(cursor) => match cursor.parse::<ProductId>() {
                Ok(last) => last.get(),
                Err(_) => return Err(Problem::invalid_field("cursor", "is not one that a page has returned")),
            },
        };
        Ok(Page::After(after, limit))
    }

    fn named(&self, ids: &str) -> Result<Page, Problem> {
        if self.limit.is_some() || self.cursor.is_some() {
            return Err(Problem::invalid_field("ids", "goes with neither limit nor cursor"));
        }
        let ids: Result<Vec<ProductId>, _> = ids.split(',').map(str::parse).collect();
        match ids {
            Ok(ids) if ids.len() <= 500 => Ok(Page::Of(ids.into_iter().map(ProductId::get).collect())),
            Ok(_) => Err(Problem::invalid_field("ids", "are at most 500")),
            Err(error) => Err(Problem::invalid_field("ids", error)),
        }
    }
}
