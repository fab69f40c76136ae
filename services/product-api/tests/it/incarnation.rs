//! The database says which Redis may be used, and an operator can see and change that.

use testkit::eventually;

use crate::support::{Api, SOON, Stores};

async fn until_recovered(stores: &Stores) {
    let record = async || stores.database.sql("SELECT record FROM incarnations WHERE keyspace = 'product'").await;
    eventually("the recovery to end", SOON, async || record().await.contains(r#""is_recovering":false"#)).await;
}

async fn until_hit(api: &Api) {
    eventually("a hit", SOON, async || api.get("/products/explicit/1").await.expect(200).is_hit()).await;
}

#[tokio::test]
async fn only_the_redis_that_the_database_names_is_used() {
    let stores = Stores::start().await;
    let api = stores.api_with(&[("INCARNATION__TRUSTED", "true")]).await;
    until_hit(&api).await;
    until_recovered(&stores).await;

    // As if other processes had failed over to a Redis that this one cannot see.
    let replaced =
        "jsonb_set(jsonb_set(record::jsonb, '{retired}', record::jsonb->'servers'), '{servers}', '[\"other:\"]')";
    stores.database.sql(&format!("UPDATE incarnations SET record = ({replaced})::text")).await;
    let is_named = async || {
        let answer = api.readiness().await;
        answer["status"] == "degraded" && answer["checks"]["redis"]["detail"].to_string().contains("was replaced")
    };
    eventually("/readyz to name the reason", SOON, is_named).await;
    assert!(!api.get("/products/explicit/1").await.expect(200).is_hit());

    // Without a record, the processes agree on the Redis that they see.
    stores.database.sql("DELETE FROM incarnations").await;
    until_hit(&api).await;
    until_recovered(&stores).await;
}
