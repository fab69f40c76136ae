//! The migrations that create the outbox.

use diesel_migrations::{EmbeddedMigrations, embed_migrations};

/// Creates the tables of the outbox, in the schema `public`. Apply them before the migrations of the service, whose
/// triggers write to the outbox.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");
