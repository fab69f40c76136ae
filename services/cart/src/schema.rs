//! The tables as diesel sees them, written by hand beside the migrations.
//!
//! The compiler checks queries against this file, but nothing checks this file against the database: a change of a
//! migration must also be made here.

diesel::table! {
    /// Carts.
    carts (id) {
        /// A random id.
        id -> Uuid,
        /// The time of creation.
        created_at -> Timestamptz,
    }
}

diesel::table! {
    /// Lines of carts. A line with quantity 0 has been removed.
    cart_items (cart_id, product_id) {
        /// The id of the cart.
        cart_id -> Uuid,
        /// The id of the product, which is in another service's database.
        product_id -> BigInt,
        /// 0 to 999.
        quantity -> Integer,
        /// The price of one piece when the product was put into the cart.
        added_price_cents -> BigInt,
        /// Incremented by a trigger, also across removals.
        version -> BigInt,
        /// The time when the product was put into the cart.
        added_at -> Timestamptz,
    }
}

diesel::table! {
    /// The last known snapshots of products.
    known_products (id) {
        /// The id of the product.
        id -> BigInt,
        /// The data as last fetched.
        facts -> Nullable<Jsonb>,
        /// The version of the data.
        version -> BigInt,
        /// The version in the last event.
        floor_version -> BigInt,
        /// Whether the product is no longer sold.
        deleted -> Bool,
        /// The number of the last event.
        seq -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(carts, cart_items);
