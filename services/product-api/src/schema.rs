//! The tables as diesel sees them, written by hand beside the migrations.
//!
//! The compiler checks queries against this file, but nothing checks this file against the database: a change of a
//! migration must also be made here.

diesel::table! {
    /// The categories of the shop.
    categories (id) {
        /// Identity.
        id -> BigInt,
        /// Unique, 1 to 100 characters.
        name -> Text,
        /// May be empty.
        description -> Text,
        /// Incremented by a trigger; the migration explains why.
        version -> BigInt,
        /// The time of the last change. It does not order the changes.
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    /// The products of the shop.
    products (id) {
        /// Identity.
        id -> BigInt,
        /// 1 to 200 characters.
        name -> Text,
        /// At most 5,000 characters.
        description -> Text,
        /// Price in cents, never negative.
        price_cents -> BigInt,
        /// Pieces in stock, never negative.
        stock -> Integer,
        /// The category of the product.
        category_id -> BigInt,
        /// Whether the featured list shows the product.
        featured -> Bool,
        /// Incremented by a trigger; the migration explains why.
        version -> BigInt,
        /// The time of the insert.
        created_at -> Timestamptz,
        /// The time of the last change. It does not order the changes.
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    /// The progress of the seeding, in one row.
    seed_state (id) {
        /// Always 1.
        id -> SmallInt,
        /// The number of categories seeded so far.
        categories -> BigInt,
        /// Highest catalogue id that was inserted or skipped.
        seeded_to -> BigInt,
        /// Highest catalogue id reserved for the seeding.
        reserved_to -> BigInt,
    }
}

diesel::joinable!(products -> categories (category_id));
diesel::allow_tables_to_appear_in_same_query!(products, categories);
