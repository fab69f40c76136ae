//! The stores behind the services: the product API's database, and Redis as its administrator.
//!
//! The page uses them for what the services do not offer: a write that bypasses the API, the published events, faults,
//! and a naive cache. The console connects to them only for these, so that it also runs without them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection as _};
use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::{ClusterHash, CustomCommand, Value};
use redis_connect::{AddressError, RedisAddress, RedisClients};
use service::problem::{Problem, RETRY_AFTER};
use tokio::sync::OnceCell;

/// How long a statement or a command may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The product API's database, if the console may use it.
#[derive(Clone, Debug)]
pub(crate) struct Database(Option<Arc<str>>);

#[derive(QueryableByName)]
struct Changed {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = BigInt)]
    version: i64,
}

impl Database {
    pub(crate) fn new(url: &str) -> Self {
        Self((!url.is_empty()).then(|| url.into()))
    }

    /// Returns whether the console may use it.
    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    async fn connect(&self) -> Result<AsyncPgConnection> {
        let url = self.0.as_deref().context("POSTGRES__URL is not set")?;
        Ok(database::establish(url, "SET application_name = 'console'; SET statement_timeout = '5s'", LIMIT).await?)
    }

    /// Raises the prices of these products with one statement, and returns their ids and new versions.
    ///
    /// # Errors
    /// Returns 503 if there is no database, or if it does not answer.
    pub(crate) async fn raise_prices(&self, ids: &[i64]) -> Result<Vec<(i64, i64)>, Problem> {
        if !self.is_known() {
            return Err(Problem::overloaded(
                RETRY_AFTER,
                "The console has no access to the database: POSTGRES__URL is not set.",
            ));
        }
        let changed = async {
            let mut session = self.connect().await?;
            // The trigger raises the version and announces the change, whichever client writes.
            let update = diesel::sql_query(
                "UPDATE products SET price_cents = price_cents + 100 WHERE id = ANY($1) RETURNING id, version",
            );
            anyhow::Ok(update.bind::<Array<BigInt>, _>(ids).load::<Changed>(&mut session).await?)
        };
        let changed = changed.await.map_err(|error| Problem::unavailable(RETRY_AFTER, format!("{error:#}")))?;
        Ok(changed.into_iter().map(|row| (row.id, row.version)).collect())
    }

    /// Locks the table of products for `length`, so that every statement on it waits.
    pub(crate) async fn lock_products(&self, length: Duration) -> Result<()> {
        let mut session = self.connect().await?;
        let held = session.transaction::<_, diesel::result::Error, _>(async |session| {
            session
                .batch_execute("SET LOCAL lock_timeout = '1s'; LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
                .await?;
            tokio::time::sleep(length).await;
            Ok(())
        });
        Ok(held.await?)
    }
}

/// Redis as its administrator, if the console may use it.
#[derive(Clone, Debug)]
pub(crate) struct RedisAdmin(Option<Arc<Admin>>);

#[derive(Debug)]
struct Admin {
    address: RedisAddress,
    client: OnceCell<Client>,
}

impl RedisAdmin {
    /// # Errors
    /// Returns an error if the URL cannot be used. Without a URL, there is no Redis.
    pub(crate) fn new(url: &str) -> Result<Self, AddressError> {
        if url.is_empty() {
            return Ok(Self(None));
        }
        let address = RedisAddress::parse(url)?;
        Ok(Self(Some(Arc::new(Admin { address, client: OnceCell::new() }))))
    }

    /// Returns whether the console may use it.
    pub(crate) fn is_known(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the address, for a connection of its own.
    pub(crate) fn address(&self) -> Option<&RedisAddress> {
        self.0.as_ref().map(|admin| &admin.address)
    }

    /// Runs a command, and returns its reply.
    ///
    /// # Errors
    /// Returns an error if there is no Redis, or if it does not answer, or refuses the command.
    pub(crate) async fn run(&self, words: &[&str]) -> Result<Value> {
        let admin = self.0.as_ref().context("REDIS_ADMIN__URL is not set")?;
        let connect = async || {
            let client = admin.address.client(LIMIT);
            client.connect();
            client
        };
        let client = admin.client.get_or_init(connect).await;
        let (command, arguments) = words.split_first().context("the command is empty")?;
        let command = CustomCommand::new(*command, ClusterHash::FirstKey, false);
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let reply =
            tokio::time::timeout(LIMIT, client.custom(command, arguments)).await.context("Redis does not answer")?;
        Ok(reply?)
    }
}
