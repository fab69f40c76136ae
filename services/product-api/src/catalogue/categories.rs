//! Queries and changes of categories.

use contract::CategoryId;
use database::snapshot::{pg_current_xact_id, transaction_text};
use database::{WriteError, cached};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use outbox::transaction;
use service::caching::{Preconditions, Validator};

use super::{Catalogue, CatalogueError, Category, CategoryChange, CategoryPage, Committed, Product};
use crate::schema::{categories, products};

/// How many products the list of a category shows.
const LISTED: i64 = 100;

impl Catalogue {
    /// Returns all categories, in the order of their ids.
    pub async fn categories(&self) -> Result<Vec<Category>, CatalogueError> {
        self.pool
            .read(async |connection| {
                Ok(categories::table.order(categories::id).select(Category::as_select()).load(connection).await?)
            })
            .await
    }

    /// Returns the list of a category, read in one snapshot.
    pub async fn in_category(&self, id: CategoryId) -> Result<Option<CategoryPage>, CatalogueError> {
        self.pool
            .build_transaction()
            .repeatable_read()
            .read_only()
            .of_statements(3)
            .run(async |connection| {
                let category: Option<Category> = categories::table
                    .find(id.get())
                    .select(Category::as_select())
                    .first(connection)
                    .await
                    .optional()?;
                let Some(category) = category else { return Ok(None) };
                let in_category = products::category_id.eq(id.get());
                let total = products::table.filter(in_category).count().get_result(connection).await?;
                let products = products::table
                    .inner_join(categories::table)
                    .filter(in_category)
                    .order(products::id)
                    .limit(LISTED)
                    .select(Product::as_select())
                    .load(connection)
                    .await?;
                Ok(Some(CategoryPage { category, total, products }))
            })
            .await
    }

    /// Changes a category and commits.
    pub async fn update_category(
        &self, id: CategoryId, change: &CategoryChange, expect: &Preconditions,
    ) -> Result<Committed<Category>, WriteError<Committed<Category>, CatalogueError>> {
        self.pool
            .write(async |connection| {
                let row = categories::table.find(id.get());
                let transaction = transaction_text(pg_current_xact_id());
                let locked = row.select((Category::as_select(), transaction, transaction::trace())).for_update();
                let current: Option<(Category, String, String)> = locked.first(connection).await.optional()?;
                let (current, transaction, _) = current.ok_or(CatalogueError::NotFound("category"))?;
                let validator = Validator::of_row(current.version, &current)?;
                if !expect.hold_for(Some(&validator)) {
                    return Err(CatalogueError::PreconditionFailed(validator));
                }
                if change.is_empty() {
                    return Committed::new((current, transaction));
                }
                let update = diesel::update(row).set(change).returning(Category::as_returning());
                Committed::new((cached(update).get_result(connection).await?, transaction))
            })
            .await
    }
}
