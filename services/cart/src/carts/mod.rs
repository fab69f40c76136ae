//! The carts in Postgres, the source of truth, read and written without a cache.

mod model;
mod snapshot;

pub use model::{Cart, Line, NewCart, Quantity};

use contract::{CartId, ProductId};
use database::{Pool, WriteError, cached};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use outbox::transaction;
use service::caching::Preconditions;

use crate::error::CartError;
use crate::schema::{cart_items, carts};

/// The maximum number of products in one cart.
const LINES: i64 = 100;

/// The queries and changes of carts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Carts {
    pool: Pool,
}

/// A line after a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutResult {
    /// The line.
    pub line: Line,
    /// Whether the product was not in the cart before.
    pub is_new: bool,
}

impl Carts {
    /// Creates the queries on a connection pool.
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Returns the connection pool.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Creates an empty cart, in a transaction: a statement of its own would not be repeated if Postgres had ended the
    /// session.
    ///
    /// # Errors
    /// Returns an error if the database does not create it.
    pub async fn create(&self) -> Result<NewCart, CartError> {
        self.pool
            .transaction(async |connection| {
                let insert = diesel::insert_into(carts::table).default_values().returning(NewCart::as_returning());
                Ok(insert.get_result(connection).await?)
            })
            .await
    }

    /// Returns the cart, read in one statement and therefore in one snapshot.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn cart(&self, id: CartId) -> Result<Option<Cart>, CartError> {
        let read = async |connection: &mut AsyncPgConnection| {
            let lies_in = cart_items::cart_id.eq(carts::id).and(cart_items::quantity.gt(0));
            let rows = carts::table
                .left_join(cart_items::table.on(lies_in))
                .filter(carts::id.eq(id.get()))
                .order(cart_items::product_id)
                .select((NewCart::as_select(), Option::<Line>::as_select()));
            Ok::<_, CartError>(rows.load(connection).await?)
        };
        let rows: Vec<(NewCart, Option<Line>)> = self.pool.read(read).await?;
        let Some((head, _)) = rows.as_slice().first().cloned() else { return Ok(None) };
        Ok(Some(Cart { head, lines: rows.into_iter().filter_map(|(_, line)| line).collect() }))
    }

    /// Sets the number of pieces of the product in the cart, and commits. If the product was not in the cart,
    /// `price_cents` is stored with the line. If the quantity is the same, nothing changes, including the version.
    ///
    /// `expect` is compared with the line under the cart's lock.
    ///
    /// # Errors
    /// Returns [`CartError::NoCart`], [`CartError::PreconditionFailed`], or [`CartError::Full`].
    pub async fn put(
        &self, cart: CartId, product: ProductId, quantity: Quantity, price_cents: i64, expect: &Preconditions,
    ) -> Result<PutResult, WriteError<PutResult, CartError>> {
        self.pool
            .write(async |connection| {
                lock(connection, cart).await?;
                // The cart is locked, so the count still holds when the line is written.
                let in_cart = cart_items::table.filter(cart_items::cart_id.eq(cart.get()));
                let in_cart = in_cart.filter(cart_items::quantity.gt(0));
                let lines: Vec<Line> = in_cart.select(Line::as_select()).load(connection).await?;
                let current = lines.iter().find(|line| line.product_id == product.get());
                check(expect, current)?;
                let is_new = current.is_none();
                if is_new && lines.len() as i64 >= LINES {
                    return Err(CartError::Full);
                }
                let line = (
                    cart_items::cart_id.eq(cart.get()),
                    cart_items::product_id.eq(product.get()),
                    cart_items::quantity.eq(quantity.quantity),
                    cart_items::added_price_cents.eq(price_cents),
                );
                let insert = diesel::insert_into(cart_items::table).values(line);
                let upsert = insert.on_conflict((cart_items::cart_id, cart_items::product_id)).do_update();
                let quantity = cart_items::quantity.eq(quantity.quantity);
                let line = if is_new {
                    let again =
                        (cart_items::added_price_cents.eq(price_cents), cart_items::added_at.eq(diesel::dsl::now));
                    upsert.set((quantity, again)).returning(Line::as_returning()).get_result(connection).await?
                } else {
                    upsert.set(quantity).returning(Line::as_returning()).get_result(connection).await?
                };
                Ok(PutResult { line, is_new })
            })
            .await
    }

    /// Removes the product from the cart and commits. If the product is not in the cart, nothing changes. `expect` is
    /// compared with the line under the cart's lock.
    ///
    /// # Errors
    /// Returns [`CartError::NoCart`], or [`CartError::PreconditionFailed`].
    pub async fn remove(
        &self, cart: CartId, product: ProductId, expect: &Preconditions,
    ) -> Result<(), WriteError<(), CartError>> {
        self.pool
            .write(async |connection| {
                lock(connection, cart).await?;
                let line = cart_items::table.find((cart.get(), product.get()));
                if !expect.is_empty() {
                    let current = line.filter(cart_items::quantity.gt(0)).select(Line::as_select());
                    check(expect, current.first(connection).await.optional()?.as_ref())?;
                }
                cached(diesel::update(line).set(cart_items::quantity.eq(0))).execute(connection).await?;
                Ok(())
            })
            .await
    }
}

/// Compares the preconditions with the line. `None` means that the product is not in the cart.
fn check(expect: &Preconditions, current: Option<&Line>) -> Result<(), CartError> {
    let validator = current.map(Line::validator);
    if expect.hold_for(validator.as_ref()) { Ok(()) } else { Err(CartError::PreconditionFailed(validator)) }
}

/// Takes the lock of the cart, so that its writers run one after the other, and names the trace of this one.
async fn lock(connection: &mut AsyncPgConnection, cart: CartId) -> Result<(), CartError> {
    let row = carts::table.find(cart.get()).select((carts::id, transaction::trace())).for_no_key_update();
    row.first::<(uuid::Uuid, String)>(connection).await.optional()?.map(drop).ok_or(CartError::NoCart)
}
