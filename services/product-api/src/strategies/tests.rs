//! What every strategy of the list does. `make new-strategy` runs this with a strategy that was added.

use std::time::Duration;

use cache::{CacheClient, Keyspace, Outcome, outcome::Fill};
use contract::{STRATEGIES, Staleness};
use outbox::relay::Outbox;
use service::caching::Preconditions;
use service::settings::ServiceSettings;
use testkit::Stores;

use super::*;
use crate::catalogue::{NewProduct, ProductChange};
use crate::faults::CrashSwitch;
use crate::keys::{Caches, KEYSPACE};
use crate::settings::Settings;
use crate::uncached_reads::UncachedReads;
use crate::{NAME, app, seed};

/// Creates the service without its HTTP server and its relay: nothing but a writer invalidates.
async fn service(stores: &Stores) -> ProductService {
    let redis = stores.redis.url_of(NAME);
    let vars = [("POSTGRES__URL", stores.database.url()), ("REDIS__URL", &redis), ("REDIS__COMMAND_TIMEOUT", "2s")];
    let settings = Settings::from_vars(vars).expect("valid settings");
    let keyspace = Keyspace::new(KEYSPACE).expect("a name");
    let cache = CacheClient::connect_with(keyspace, &settings.common.redis).await.expect("a connection");
    let migrations = [outbox::relay::MIGRATIONS, app::MIGRATIONS];
    database::migrate(&settings.postgres, migrations, Duration::from_secs(60)).await.expect("the tables");
    let pool = database::connect(&settings.postgres, NAME, Duration::from_secs(20)).await.expect("a pool");
    seed::seed(&pool, 1).await.expect("the categories");
    let commit_bound = settings.postgres.commit_bound();
    let caches = Caches::new(&cache, &settings.lanes, commit_bound).expect("valid policies");
    let crash = CrashSwitch::default();
    ProductService {
        catalogue: Catalogue::new(pool.clone()),
        cache,
        caches,
        uncached_reads: UncachedReads::of_pool(16),
        outbox: Outbox::new(pool),
        commit_bound,
        guard_lease: None,
        crash,
    }
}

/// Creates a product, and returns its id.
async fn create(service: &ProductService) -> ProductId {
    let (name, description) = ("New".to_owned(), String::new());
    let new = NewProduct { name, description, price_cents: 100, stock: 0, category_id: 1, featured: false };
    service.create(&new).await.expect("a product").0.value.id.into()
}

#[tokio::test]
async fn each_strategy_fills_its_entry_and_keeps_its_promise_after_a_write() {
    let stores = Stores::start(NAME).await;
    let service = service(&stores).await;
    for (strategy, info) in Strategy::ALL.into_iter().zip(STRATEGIES) {
        let name = strategy.name();
        assert_eq!((info.name, name.parse(), info.number), (name, Ok(strategy), strategy as usize + 1));
        let id = create(&service).await;
        let [miss, hit] = [(); 2].map(|()| strategy.read(&service, id, None));
        let (miss, hit) = (miss.await.expect("a read"), hit.await.expect("a read"));
        assert_eq!((miss.outcome(), hit.outcome()), (Outcome::Miss(Fill::Stored), Outcome::Hit), "{name}");
        assert_eq!((miss.body(), hit.version()), (hit.body(), Some(1)), "{name}");

        let change = ProductChange { stock: Some(7), ..ProductChange::default() };
        let write = ProductWrite { id, change, expect: Preconditions::default() };
        let (Committed { value: product, token }, effect) = strategy.write(&service, &write).await.expect("a write");
        assert_eq!((product.stock, product.version), (7, 2), "{name}");
        let read = strategy.read(&service, id, None).await.expect("a read");
        match info.own {
            Staleness::Never => {
                assert!(matches!(effect, WriteEffect::Invalidated | WriteEffect::Stored), "{name}: {effect:?}");
                assert_eq!(read.version(), Some(2), "{name}");
            }
            Staleness::Delivery => assert_eq!(effect, WriteEffect::Announced, "{name}"),
            Staleness::Seconds(limit) => assert!(hit.hard_ttl_ms() <= limit * 1000, "{name}: {}", hit.hard_ttl_ms()),
        }
        let own = strategy.read(&service, id, Some(token)).await.expect("a read");
        match strategy.caching() {
            Caching::Validated => assert_eq!(own.version(), Some(2), "{name}: with the token of the write"),
            _ => assert_eq!(own.version(), read.version(), "{name}: it does not honour tokens"),
        }
    }
}

#[tokio::test]
async fn absent_product_is_cached_by_each_strategy_until_its_creation() {
    let stores = Stores::start(NAME).await;
    let service = service(&stores).await;
    let next = ProductId::from(create(&service).await.get() + 1);
    for outcome in [Outcome::Miss(Fill::Stored), Outcome::Hit] {
        for strategy in Strategy::ALL {
            let read = strategy.read(&service, next, None).await.expect("a read");
            assert_eq!((read.body(), read.outcome()), (None, outcome), "{}", strategy.name());
        }
    }
    assert_eq!(create(&service).await, next);
    for strategy in Strategy::ALL {
        assert_eq!(
            strategy.read(&service, next, None).await.expect("a read").version(),
            Some(1),
            "{}",
            strategy.name()
        );
    }
}
