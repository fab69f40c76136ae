//! The tables as diesel sees them, written by hand beside the migrations.
//!
//! Queries are checked against this file at compile time, but nothing checks this file against the
//! database: whoever changes a migration changes it here too.

diesel::table! {
    /// Carts.
    carts (id) {
        /// Random.
        id -> Uuid,
        /// When it was created.
        created_at -> Timestamptz,
    }
}

diesel::table! {
    /// Lines of carts; quantity 0 is a line that was removed.
    cart_items (cart_id, product_id) {
        /// The cart.
        cart_id -> Uuid,
        /// The product, in another service's database.
        product_id -> BigInt,
        /// 0 to 999.
        quantity -> Integer,
        /// The price when it was put into the cart.
        added_price_cents -> BigInt,
        /// Counted by a trigger, across removals.
        version -> BigInt,
        /// When it was put into the cart.
        added_at -> Timestamptz,
    }
}

diesel::table! {
    /// The last known facts of products.
    known_products (id) {
        /// The product.
        id -> BigInt,
        /// As last fetched.
        facts -> Nullable<Jsonb>,
        /// Of the facts.
        version -> BigInt,
        /// Of the last event.
        floor_version -> BigInt,
        /// No longer sold.
        deleted -> Bool,
        /// The number of the last event.
        seq -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(carts, cart_items);
