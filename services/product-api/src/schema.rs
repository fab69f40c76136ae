//! The tables as diesel sees them, written by hand beside the migrations.
//!
//! Queries are checked against this file at compile time, but nothing checks this file against the
//! database: whoever changes a migration changes it here too.

diesel::table! {
    /// The shelves of the shop.
    categories (id) {
        /// Identity.
        id -> BigInt,
        /// Unique, 1 to 100 characters.
        name -> Text,
        /// May be empty.
        description -> Text,
        /// Counted by a trigger; see the migration for why.
        version -> BigInt,
        /// When the last change was made; not an order.
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    /// What the shop sells.
    products (id) {
        /// Identity.
        id -> BigInt,
        /// 1 to 200 characters.
        name -> Text,
        /// At most 5,000 characters.
        description -> Text,
        /// Price in hundredths, never negative.
        price_cents -> BigInt,
        /// Pieces on the shelf, never negative.
        stock -> Integer,
        /// The shelf it stands on.
        category_id -> BigInt,
        /// Shown on the front page.
        featured -> Bool,
        /// Counted by a trigger; see the migration for why.
        version -> BigInt,
        /// When the row was inserted.
        created_at -> Timestamptz,
        /// When the last change was made; not an order.
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    /// How far the seeding got: one row.
    seed_state (id) {
        /// Always 1.
        id -> SmallInt,
        /// Categories seeded so far.
        categories -> BigInt,
        /// Highest catalogue id inserted or passed over.
        seeded_to -> BigInt,
        /// Highest catalogue id set aside for the seeding.
        reserved_to -> BigInt,
    }
}

diesel::joinable!(products -> categories (category_id));
diesel::allow_tables_to_appear_in_same_query!(products, categories);
