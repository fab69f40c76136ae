//! The state that every request shares, and the order of a write: commit, remove the view, respond.

use std::time::Duration;

use cache::error::LoadError;
use cache::{CacheClient, Cached, Invalidated};
use contract::{CartId, ConsistencyToken, ProductId};
use database::WriteError;
use outbox::relay::Outbox;
use serde::Serialize;
use service::caching::{Preconditions, Validator};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::carts::{Carts, NewCart, Quantity};
use crate::error::CartError;
use crate::facts::{ProductSource, State, Upstream};
use crate::view::{View, Views};

/// The carts, the data of products, and the views made of both.
#[derive(Clone, Debug)]
pub struct CartService {
    /// The connection to Redis.
    pub cache: CacheClient,
    /// The carts in Postgres.
    pub carts: Carts,
    /// The data of products.
    pub facts: ProductSource,
    /// The views of the carts.
    pub views: Views,
    /// The outbox, which `/events` reads.
    pub outbox: Outbox,
    /// The client of the product API.
    pub upstream: Upstream,
    /// The longest time for which an unacknowledged COMMIT can still take effect.
    pub commit_bound: Duration,
}

/// A written line of a cart.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WrittenLine {
    /// The id of the cart.
    pub cart_id: Uuid,
    /// The id of the product.
    pub product_id: i64,
    /// Pieces of the product that are now in the cart.
    pub quantity: i32,
    /// The price of one piece when the product was put into the cart.
    pub added_price_cents: i64,
    /// 1 at first, incremented by every change.
    pub version: i64,
    /// Whether the product API was unavailable, so that the last known price was used.
    pub stale: bool,
}

/// A committed write, and its effect on the view.
#[derive(Clone, Debug)]
pub struct Written {
    /// The line.
    pub line: WrittenLine,
    /// The validator of the line.
    pub validator: Validator,
    /// Whether the product was not in the cart before.
    pub is_new: bool,
    /// The effect on the view.
    pub effect: Invalidated,
}

impl CartService {
    /// Creates an empty cart.
    ///
    /// # Errors
    /// Returns an error if the database does not create it.
    pub async fn create(&self) -> Result<NewCart, CartError> {
        self.carts.create().await
    }

    /// Returns the cart with current prices. With `token`, the view shows that write to a product.
    ///
    /// # Errors
    /// Returns an error if the database does not respond.
    pub async fn view(&self, cart: CartId, token: Option<ConsistencyToken>) -> Result<Cached<View>, LoadError> {
        self.views.view(cart, token).await
    }

    /// Sets the number of pieces of a product in the cart. When it returns, the earlier view is removed.
    ///
    /// # Errors
    /// Returns [`CartError::NoProduct`] if the product is not sold, [`CartError::ProductUnknown`] if this cannot be
    /// determined, and [`CartError::PreconditionFailed`] if `expect` does not hold.
    pub async fn put(
        &self, cart: CartId, product: ProductId, quantity: Quantity, expect: &Preconditions,
    ) -> Result<Written, CartError> {
        let info = self.facts.one(product).await?;
        let price = match info.product {
            State::Sold(facts) => facts.price_cents,
            State::Gone(_) => return Err(CartError::NoProduct),
            State::Unknown => return Err(CartError::ProductUnknown(product.get())),
        };
        price.checked_mul(quantity.quantity.into()).ok_or(CartError::TooMuch)?;
        let put = self.carts.put(cart, product, quantity, price, expect).await;
        // Also if nothing has changed: a client may repeat a write because its invalidation was deferred.
        let (put, effect) = self.after_write(cart, put).await?;
        let line = WrittenLine {
            cart_id: cart.get(),
            product_id: put.line.product_id,
            quantity: put.line.quantity,
            added_price_cents: put.line.added_price_cents,
            version: put.line.version,
            stale: info.stale,
        };
        Ok(Written { line, validator: put.line.validator(), is_new: put.is_new, effect })
    }

    /// Removes a product from the cart. When it returns, the earlier view is removed.
    ///
    /// # Errors
    /// Returns [`CartError::NoCart`], or [`CartError::PreconditionFailed`] if `expect` does not hold.
    pub async fn remove(
        &self, cart: CartId, product: ProductId, expect: &Preconditions,
    ) -> Result<Invalidated, CartError> {
        let removed = self.carts.remove(cart, product, expect).await;
        self.after_write(cart, removed).await.map(|((), effect)| effect)
    }

    /// Removes the view of a cart after a write, also if the write is in doubt.
    async fn after_write<T>(
        &self, cart: CartId, written: Result<T, WriteError<T, CartError>>,
    ) -> Result<(T, Invalidated), CartError> {
        match written {
            Ok(written) => Ok((written, self.views.invalidate_cart(cart.reference()).await)),
            Err(WriteError { cause, in_doubt }) => {
                if in_doubt.is_some() {
                    // The client receives the error of the write. It is the same whether or not Redis has made the
                    // invalidation.
                    let _ = self.views.invalidate_in_doubt(cart.reference(), self.commit_bound).await;
                }
                Err(cause)
            }
        }
    }
}
