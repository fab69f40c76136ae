//! Settings that an administrator gives a role or a database (`ALTER ROLE … SET`) have no effect on the service's own
//! sessions.

use testkit::{FOREIGN_SETTINGS, Postgres, eventually};

use crate::support::{Carts, SOON, Service, Stores, ids, item, until_list};

/// Asserts that lists are built, events about products and carts are applied, and baskets are learned from.
async fn all_is_well(stores: &Stores, ours: &Service, carts: &mut Carts<'_>, round: i64, setting: &str) {
    // The previous sessions have been ended.
    let path = format!("/recommendations/{}", 20 + round);
    eventually(&format!("new sessions with {setting}"), SOON, async || ours.get(&path).await.status == 200).await;
    let price = 13_900 + round;
    stores.shop_sql(&format!("UPDATE products SET price_cents = {price} WHERE id = 25")).await;
    let is_new = |list: &serde_json::Value| item(list, 25).is_some_and(|item| item["price_cents"] == price);
    until_list(ours, "/recommendations/13", &format!("a new price with {setting}"), is_new).await;
    // None of the products 43 to 60 is sold out.
    carts.many(5, &[20 + round, 43 + round]).await;
    carts.many(5, &[80 + round, 100 + round]).await;
    stores.until_learned(carts.last()).await;
    let requests = (0..8).map(|number| async move {
        let list = ours.get(&format!("/recommendations/{}", 30 + 10 * number + round)).await;
        assert_eq!(list.status, 200, "{setting}: {list:?}");
        let list = ours.get(&format!("/recommendations?cart={}", uuid::Uuid::new_v4())).await;
        assert_eq!(list.status, 200, "{setting}: {list:?}");
    });
    futures_util::future::join_all(requests).await;
    let learned = |list: &serde_json::Value| ids(list, "bought_together").contains(&(43 + round));
    until_list(ours, &format!("/recommendations/{}", 20 + round), &format!("what was learned with {setting}"), learned)
        .await;
    let checks = ours.get("/readyz").await.expect(200).json()["checks"].clone();
    for check in ["postgres", "postgres-writes", "catalogue"] {
        assert_eq!(checks[check]["status"], "ok", "{check} with {setting}: {checks}");
    }
}

#[tokio::test]
async fn running_recommendation_is_not_harmed_by_settings_of_its_role() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    let url = postgres.create_owner(stores.our_database()).await.expect("a new role");
    let api = stores.product_api("0").await;
    let ours = stores.ours_with(api.url(), &[("POSTGRES__URL", &url)]).await;
    stores.until_all_is_heard().await;
    let mut carts = Carts::new(&stores.redis);
    for (round, setting) in (0..).zip(FOREIGN_SETTINGS) {
        postgres.set_for_owner(stores.our_database(), &[setting]).await.expect("the test's own SQL");
        all_is_well(&stores, &ours, &mut carts, round, setting).await;
    }
}

#[tokio::test]
async fn recommendation_brings_up_an_empty_database_under_foreign_settings() {
    let (stores, postgres) = (Stores::start().await, Postgres::shared().await);
    let url = postgres.create_owner(stores.our_database()).await.expect("a new role");
    postgres.set_for_owner(stores.our_database(), &FOREIGN_SETTINGS).await.expect("the test's own SQL");
    let api = stores.product_api("0").await;
    let ours = stores.ours_with(api.url(), &[("POSTGRES__URL", &url)]).await;
    stores.until_all_is_heard().await;
    all_is_well(&stores, &ours, &mut Carts::new(&stores.redis), 0, "all of them").await;
}

/// For users of psql, and for sessions that this service did not set up.
#[tokio::test]
async fn similar_products_are_found_with_any_search_path() {
    let stores = Stores::start().await;
    let (_api, _ours) = stores.both().await;
    let found = "SELECT count(*) FROM public.similar_products(13, 12)";
    let usual = stores.sql(found).await;
    assert_ne!(usual, "0");
    assert_eq!(stores.sql(&format!("SET search_path = ''; {found}")).await, usual);
}
