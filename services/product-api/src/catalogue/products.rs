//! Queries and changes of products.

use std::future::Future;

use cache::Invalidation;
use contract::{ConsistencyToken, ProductId};
use database::snapshot::{
    TransactionSnapshot, pg_current_snapshot, pg_current_xact_id, snapshot_text, transaction_text,
};
use database::{WriteError, cached};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use outbox::transaction;
use service::caching::{Preconditions, Validator};

use super::{
    Catalogue, CatalogueError, Committed, FeaturedList, ListMembership, NewProduct, Product, ProductPage, ProductWrite,
};
use crate::schema::{categories, products};

/// How many ids a creation tries.
const ATTEMPTS: u32 = 5;

/// The bytes of the texts of a page, as JSON, after which the page ends: 1 MiB. A response stays in memory until its client
/// has read it.
const PAGE_BYTES: usize = 1 << 20;

/// A product, and the transactions that the statement has seen ([`TransactionSnapshot`]).
#[derive(Clone, Debug)]
pub struct LoadedProduct {
    /// The product; `None` if there is none.
    pub product: Option<Product>,
    /// The text of the snapshot.
    pub snapshot: String,
}

/// A committed update.
#[derive(Clone, Debug)]
pub struct UpdatedProduct {
    /// The product after the change.
    pub product: Product,
    /// What a client sends with its reads to see the change.
    pub token: ConsistencyToken,
    /// The lists that showed the product before.
    pub previous: ListMembership,
}

impl Catalogue {
    /// Returns the same catalogue for the strategy `writer`, which invalidates its own entry after COMMIT. After an update
    /// or a deletion of a product, the relay removes this entry only if that strategy made the change.
    ///
    /// The transaction of the change records the name with the event (`outbox.writer`). If the writer is killed before it
    /// invalidates, or Redis does not acknowledge the invalidation, the relay invalidates this strategy's entry.
    pub fn as_writer(&self, writer: &'static str) -> Self {
        Self { pool: self.pool.clone(), writer }
    }

    /// Returns the product, read in one statement and therefore in one snapshot.
    pub async fn product(&self, id: ProductId) -> Result<Option<Product>, CatalogueError> {
        self.pool.read(async |connection| Ok(product(connection, id).await?)).await
    }

    /// Returns the product, and the snapshot of the statement that read it.
    pub async fn product_with_snapshot(&self, id: ProductId) -> Result<LoadedProduct, CatalogueError> {
        let load = async |connection: &mut AsyncPgConnection| {
            let row = products::table.inner_join(categories::table).filter(products::id.eq(id.get()));
            let row = row.select((Product::as_select(), snapshot_text(pg_current_snapshot())));
            let found: Option<(Product, String)> = row.first(connection).await.optional()?;
            if let Some((product, snapshot)) = found {
                return Ok((Some(product), snapshot));
            }
            // Without a row there is no snapshot either.
            let exists = diesel::dsl::exists(products::table.filter(products::id.eq(id.get())));
            let state = diesel::select((snapshot_text(pg_current_snapshot()), exists));
            let (snapshot, exists): (String, bool) = state.get_result(connection).await?;
            // Created in the meantime. The next statement sees at least what this one sees.
            let created = if exists { product(connection, id).await? } else { None };
            Ok::<_, CatalogueError>((created, snapshot))
        };
        let (product, snapshot) = self.pool.read(load).await?;
        Ok(LoadedProduct { product, snapshot: TransactionSnapshot::compact(snapshot) })
    }

    /// Returns a page of products in the order of their ids, after the id `after`. It has at most `limit` products, and fewer
    /// if their texts are very long.
    pub async fn page(&self, after: i64, limit: i64) -> Result<ProductPage, CatalogueError> {
        let page = async |connection: &mut AsyncPgConnection| {
            let page = products::table.inner_join(categories::table).filter(products::id.gt(after));
            let page = page.order(products::id).limit(limit + 1).select(Product::as_select());
            Ok::<_, CatalogueError>(page.load(connection).await?)
        };
        let mut products: Vec<Product> = self.pool.read(page).await?;
        let found = products.len();
        products.truncate(fitting(&products).min(limit as usize));
        let next_cursor = products.last().filter(|_| products.len() < found).map(|last| last.id.to_string());
        Ok(ProductPage { products, next_cursor })
    }

    /// Returns those of the named products that exist, in the order of their ids.
    pub async fn products(&self, ids: &[i64]) -> Result<ProductPage, CatalogueError> {
        let named = async |connection: &mut AsyncPgConnection| {
            let named = products::table.inner_join(categories::table).filter(products::id.eq_any(ids));
            let named = named.order(products::id).select(Product::as_select());
            Ok::<_, CatalogueError>(named.load(connection).await?)
        };
        let products = self.pool.read(named).await?;
        Ok(ProductPage { products, next_cursor: None })
    }

    /// Returns the featured products.
    pub async fn featured(&self) -> Result<FeaturedList, CatalogueError> {
        let featured = async |connection: &mut AsyncPgConnection| {
            let featured = products::table.inner_join(categories::table).filter(products::featured);
            let featured = featured.order(products::id).limit(100).select(Product::as_select());
            Ok::<_, CatalogueError>(featured.load(connection).await?)
        };
        let products = self.pool.read(featured).await?;
        Ok(FeaturedList { products })
    }

    /// Creates a product. The database assigns the id. If another client has inserted that id by hand, the insert is
    /// retried with the next one.
    pub async fn create(
        &self, new: &NewProduct,
    ) -> Result<Committed<Product>, WriteError<Committed<Product>, CatalogueError>> {
        let insert = async |connection: &mut AsyncPgConnection| {
            let insert =
                diesel::insert_into(products::table).values(new).returning((products::id, transaction::trace()));
            let (id, _): (i64, String) = insert.get_result(connection).await?;
            row_as_written(connection, id.into()).await
        };
        let mut attempts = 1;
        loop {
            match self.pool.write(insert).await {
                Err(WriteError { cause: CatalogueError::Database(error), in_doubt: None })
                    if error.violates_unique("products_pkey") && attempts < ATTEMPTS =>
                {
                    attempts += 1;
                }
                created => return created,
            }
        }
    }

    /// Changes a product and commits.
    pub async fn update(
        &self, write: &ProductWrite,
    ) -> Result<UpdatedProduct, WriteError<UpdatedProduct, CatalogueError>> {
        let updated = self.update_locked(write, async || {}).await;
        updated.map(|(updated, ())| updated).map_err(|error| error.map(|(updated, ())| updated))
    }

    /// Changes a product and commits. Calls `locked` inside the transaction, while it holds the row's lock. When the
    /// transaction is retried, `locked` is called again.
    pub async fn update_locked<T, Locked>(
        &self, write: &ProductWrite, locked: impl Fn() -> Locked + Send + Sync,
    ) -> Result<(UpdatedProduct, T), WriteError<(UpdatedProduct, T), CatalogueError>>
    where
        T: Send,
        Locked: Future<Output = T> + Send,
    {
        self.pool
            .write(async |connection| {
                let previous = self.change(connection, write).await?;
                // After everything that may be refused, and before the product is read.
                let held = locked().await;
                let Committed { value: product, token } = row_as_written(connection, write.id).await?;
                Ok((UpdatedProduct { product, token, previous }, held))
            })
            .await
    }

    /// Changes a product and commits. Calls `guard` as the last step of the transaction, with the names of what the
    /// change outdates. When the transaction is retried, `guard` is called again.
    pub async fn update_guarded<T, Guarding>(
        &self, write: &ProductWrite, outdated: impl Fn(&UpdatedProduct) -> Invalidation + Send + Sync,
        guard: impl Fn(Invalidation) -> Guarding + Send + Sync,
    ) -> Result<(UpdatedProduct, T), WriteError<(UpdatedProduct, T), CatalogueError>>
    where
        T: Send,
        Guarding: Future<Output = T> + Send,
    {
        self.pool
            .write(async |connection| {
                let previous = self.change(connection, write).await?;
                let Committed { value: product, token } = row_as_written(connection, write.id).await?;
                let updated = UpdatedProduct { product, token, previous };
                let held = guard(outdated(&updated)).await;
                Ok((updated, held))
            })
            .await
    }

    /// Locks the row, checks the preconditions and changes the row. Returns the lists that it was on.
    async fn change(
        &self, connection: &mut AsyncPgConnection, ProductWrite { id, change, expect }: &ProductWrite,
    ) -> Result<ListMembership, CatalogueError> {
        let previous = lock(connection, *id, self.writer).await?;
        if !expect.is_empty() {
            check(expect, &row_as_written(connection, *id).await?.value)?;
        }
        if !change.fields().is_empty() {
            cached(diesel::update(products::table.find(id.get())).set(change)).execute(connection).await?;
        }
        Ok(previous)
    }

    /// Deletes a product and commits. Returns the deleted product.
    pub async fn delete(
        &self, id: ProductId, expect: &Preconditions,
    ) -> Result<Committed<Product>, WriteError<Committed<Product>, CatalogueError>> {
        self.pool
            .write(async |connection| {
                lock(connection, id, self.writer).await?;
                let product = row_as_written(connection, id).await?;
                check(expect, &product.value)?;
                diesel::delete(products::table.find(id.get())).execute(connection).await?;
                Ok(product)
            })
            .await
    }
}

async fn product(connection: &mut AsyncPgConnection, id: ProductId) -> QueryResult<Option<Product>> {
    products::table
        .inner_join(categories::table)
        .filter(products::id.eq(id.get()))
        .select(Product::as_select())
        .first(connection)
        .await
        .optional()
}

/// Returns the product as the transaction of the caller has written it. It exists because the caller holds its lock.
async fn row_as_written(
    connection: &mut AsyncPgConnection, id: ProductId,
) -> Result<Committed<Product>, CatalogueError> {
    let row: Option<(Product, String)> = products::table
        .inner_join(categories::table)
        .filter(products::id.eq(id.get()))
        .select((Product::as_select(), transaction_text(pg_current_xact_id())))
        .first(connection)
        .await
        .optional()?;
    Committed::new(row.ok_or(CatalogueError::NotFound("product"))?)
}

/// Returns how many of the products fit into a page: at least one.
fn fitting(products: &[Product]) -> usize {
    let in_json = |byte: u8| match byte {
        ..=0x1f => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    let mut bytes = 0;
    let fits = |product: &&Product| {
        bytes += product.name.bytes().chain(product.description.bytes()).map(in_json).sum::<usize>();
        bytes <= PAGE_BYTES
    };
    products.iter().take_while(fits).count().max(1)
}

/// Compares the preconditions with the whole representation while the row is locked. The statement that read `current`
/// began after the lock was taken, so `current` is what the transaction will change.
fn check(expect: &Preconditions, current: &Product) -> Result<(), CatalogueError> {
    let validator = Validator::of_row(current.version, current)?;
    if expect.hold_for(Some(&validator)) { Ok(()) } else { Err(CatalogueError::PreconditionFailed(validator)) }
}

/// Takes the row's lock, and names the writer and its trace until the end of the transaction. Returns the lists that the product is
/// on.
async fn lock(
    connection: &mut AsyncPgConnection, id: ProductId, writer: &str,
) -> Result<ListMembership, CatalogueError> {
    let row = products::table.find(id.get()).for_update();
    let named = (transaction::writer(writer), transaction::trace());
    let row = row.select((products::category_id, products::featured, named));
    let row: Option<(i64, bool, (String, String))> = row.first(connection).await.optional()?;
    let (category, featured, _) = row.ok_or(CatalogueError::NotFound("product"))?;
    Ok(ListMembership { category: category.into(), featured })
}
