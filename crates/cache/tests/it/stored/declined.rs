//! A loader whose value must not be stored: the readers receive it once, and neither an entry nor a lease remains.

use cache::Outcome;
use cache::outcome::Fill;
use cache::write_through::Published;

use crate::both::declined::declining;
use crate::support::{existing, filled_node, one_node};

#[tokio::test]
async fn declined_value_is_returned_without_an_entry_or_a_lease() {
    let (redis, node, row) = one_node([]).await;
    let load = declining(row.loader());
    for loads in 1..=2 {
        let cached = node.start(1, &load).value().await;
        assert_eq!((cached.version(), cached.outcome()), (Some(1), Outcome::Miss(Fill::Declined)));
        assert_eq!((cached.id(), row.loads()), (None, loads));
        assert_eq!(existing(&redis, &["shop:item:1"]).await, 0);
    }
    assert_eq!(node.read(1, &row).await.outcome(), Outcome::Miss(Fill::Stored), "another loader may want it stored");
}

#[tokio::test]
async fn declined_write_invalidates_the_entry() {
    let (redis, node, row) = filled_node([]).await;
    let write = node.cache.begin_write(1).await;
    row.commit();
    assert_eq!(write.publish(row.read().do_not_store()).await, Published::Invalidated);
    assert_eq!(existing(&redis, &["shop:item:1"]).await, 0);
    assert_eq!(node.read(1, &row).await.version(), Some(2));
}
