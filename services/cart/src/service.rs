//! What every request works with, and what a write does: commit, then remove the view, then answer.

use std::time::Duration;

use cache::{CacheClient, Cached, GetError, Invalidated};
use database::WriteError;
use events::relay::Outbox;
use runtime::conditions::Preconditions;
use runtime::validator::Validator;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::carts::{Carts, NewCart, Quantity};
use crate::error::CartError;
use crate::facts::{ProductSource, State, Upstream};
use crate::ids::{CartId, ProductId};
use crate::view::Views;

/// Carts, what is known of products, and the views made of both.
#[derive(Clone, Debug)]
pub struct CartService {
    /// Redis.
    pub cache: CacheClient,
    /// Postgres.
    pub carts: Carts,
    /// What is known of products.
    pub facts: ProductSource,
    /// What is shown.
    pub views: Views,
    /// The log of changes.
    pub outbox: Outbox,
    /// The way to the product API.
    pub upstream: Upstream,
    /// The longest time for which a COMMIT that was not answered can still take effect.
    pub commit_bound: Duration,
}

/// A line that was written.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WrittenLine {
    /// The cart.
    pub cart_id: Uuid,
    /// The product.
    pub product_id: i64,
    /// Pieces of it in the cart now.
    pub quantity: i32,
    /// The price when it was put into the cart.
    pub added_price_cents: i64,
    /// 1, and one more with every change.
    pub version: i64,
    /// Whether the product API could not be asked, and the last known price was taken.
    pub stale: bool,
}

/// A committed write, and whether its view is gone.
#[derive(Clone, Debug)]
pub struct Written {
    /// The line.
    pub line: WrittenLine,
    /// Its validator.
    pub validator: Validator,
    /// Whether the product was not in the cart before.
    pub is_new: bool,
    /// What became of the view.
    pub effect: Invalidated,
}

impl CartService {
    /// Creates an empty cart.
    ///
    /// # Errors
    /// When the database does not.
    pub async fn create(&self) -> Result<NewCart, CartError> {
        self.carts.create().await
    }

    /// The cart with current prices.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn view(&self, cart: CartId) -> Result<Cached, GetError> {
        self.views.view(cart).await
    }

    /// Sees to it that so many pieces of a product lie in the cart. When it returns, the view from before is gone.
    ///
    /// # Errors
    /// [`CartError::NoProduct`] when it is not sold, [`CartError::ProductUnknown`] when nobody can say that,
    /// [`CartError::PreconditionFailed`] when `expect` does not hold.
    pub async fn put(
        &self,
        cart: CartId,
        product: ProductId,
        quantity: Quantity,
        expect: &Preconditions,
    ) -> Result<Written, CartError> {
        let word = self.facts.one(product).await?;
        let price = match word.product {
            State::Sold(facts) => facts.price_cents,
            State::Gone(_) => return Err(CartError::NoProduct),
            State::Unknown => return Err(CartError::ProductUnknown(product.get())),
        };
        price.checked_mul(quantity.quantity.into()).ok_or(CartError::TooMuch)?;
        let put = self.carts.put(cart, product, quantity, price, expect).await;
        // Also where nothing has changed: whoever repeats a write may do so because its invalidation was deferred.
        let (put, effect) = self.after_write(cart, put).await?;
        let line = WrittenLine {
            cart_id: cart.get(),
            product_id: put.line.product_id,
            quantity: put.line.quantity,
            added_price_cents: put.line.added_price_cents,
            version: put.line.version,
            stale: word.stale,
        };
        Ok(Written { line, validator: put.line.validator(), is_new: put.is_new, effect })
    }

    /// Sees to it that a product does not lie in the cart. When it returns, the view from before is gone.
    ///
    /// # Errors
    /// [`CartError::NoCart`], or [`CartError::PreconditionFailed`] when `expect` does not hold.
    pub async fn remove(
        &self,
        cart: CartId,
        product: ProductId,
        expect: &Preconditions,
    ) -> Result<Invalidated, CartError> {
        let removed = self.carts.remove(cart, product, expect).await;
        self.after_write(cart, removed).await.map(|((), effect)| effect)
    }

    /// Removes the view of a cart that was written to, also where the write is in doubt.
    async fn after_write<T>(
        &self,
        cart: CartId,
        written: Result<T, WriteError<T, CartError>>,
    ) -> Result<(T, Invalidated), CartError> {
        match written {
            Ok(written) => Ok((written, self.views.invalidate_carts([cart.reference()]).await)),
            Err(WriteError { cause, in_doubt }) => {
                if in_doubt.is_some() {
                    // The client hears of the failure; whether Redis has done it changes nothing for it.
                    let _ = self.views.invalidate_in_doubt(cart.reference(), self.commit_bound).await;
                }
                Err(cause)
            }
        }
    }
}
