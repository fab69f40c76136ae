//! The query parameters of a page of the catalogue.

use contract::ProductId;
use serde::Deserialize;
use service::problem::Problem;
use utoipa::IntoParams;

/// The query parameters of a page of the catalogue.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageQuery {
    /// 1 to 500 products, 50 by default.
    #[param(nullable = false, minimum = 1, maximum = 500)]
    limit: Option<i64>,
    /// The `next_cursor` of the previous page.
    #[param(nullable = false, pattern = r"^(0|[1-9][0-9]{0,18})$")]
    cursor: Option<String>,
    /// The ids of the products to return instead of a page: at most 500, separated by commas. Unknown ids are left out.
    #[param(nullable = false, pattern = r"^[1-9][0-9]{0,18}(,[1-9][0-9]{0,18}){0,499}$")]
    ids: Option<String>,
}

/// The products that a query asks for.
pub(super) enum Page {
    /// The products after this id, at most so many.
    After(i64, i64),
    /// The products with these ids.
    Of(Vec<i64>),
}

impl PageQuery {
    /// Returns the products that the query asks for.
    ///
    /// # Errors
    /// Returns a problem that names the invalid parameter.
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
            Err(error) => Err(Problem::invalid_field("ids", error.to_string())),
        }
    }
}
