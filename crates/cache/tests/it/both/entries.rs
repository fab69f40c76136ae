//! What a caller of a typed cache sees: decoded values, their lifetime, and the result of an invalidation.

use crate::support::{DatabaseError, Row, node, patient};

#[tokio::test]
async fn value_of_another_type_is_replaced() {
    let (_redis, node) = node().await;
    let numbers = node.client.cache::<u64>("item", patient()).unwrap();
    node.fill(1, &Row::new([])).await;
    assert!(numbers.get(1).await.unwrap().value().is_err());
    assert_eq!(numbers.get_or_load(1, || async { Ok::<_, DatabaseError>(7) }).await.unwrap(), Some(7));
    assert_eq!(numbers.get(1).await.unwrap().value().unwrap(), Some(7));
}
