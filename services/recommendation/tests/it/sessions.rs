//! Sessions that the service did not set up: of users of psql, and of other programs.

use crate::support::Stores;

#[tokio::test]
async fn similar_products_are_found_with_any_search_path() {
    let stores = Stores::start().await;
    let (_api, _ours) = stores.both().await;
    let found = "SELECT count(*) FROM public.similar_products(13, 12)";
    let usual = stores.sql(found).await;
    assert_ne!(usual, "0");
    assert_eq!(stores.sql(&format!("SET search_path = ''; {found}")).await, usual);
}
