//! Strategy 6: entries carry tags, and the writer invalidates by tag.

use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{Api, SOON, Stores, started};

/// Two products of one category and one of another, with the lists of both.
struct Shelves {
    stores: Stores,
    api: Api,
    here: i64,
    there: i64,
    /// Two products in one category, one in the other.
    ids: [i64; 3],
}

impl Shelves {
    async fn stocked() -> Self {
        let (stores, api) = started().await;
        let mut ids = [0; 3];
        for (id, category) in ids.iter_mut().zip([1, 1, 2]) {
            let new = json!({ "name": "A thing", "price_cents": 100, "category_id": category });
            *id = api.post("/products", &new).await.expect(201).json()["id"].as_i64().expect("an id");
        }
        let shelves = Self { stores, api, here: 1, there: 2, ids };
        shelves.fill().await;
        shelves
    }

    async fn fill(&self) {
        // Changes that are not published yet would remove the new entries.
        self.stores.until_published().await;
        for path in self.paths() {
            self.api.get(&path).await.expect(200);
            assert_eq!(self.api.get(&path).await.expect(200).source(), "hit", "{path}");
        }
    }

    fn paths(&self) -> [String; 5] {
        let [one, two, three] = self.ids.map(|id| format!("/products/tags/{id}"));
        let [here, there] = [self.here, self.there].map(|id| format!("/products/by-category/{id}"));
        [one, two, three, here, there]
    }

    /// Returns which of [`paths`](Self::paths) are hits now.
    async fn hits(&self) -> [bool; 5] {
        let mut hits = [false; 5];
        for (hit, path) in hits.iter_mut().zip(self.paths()) {
            *hit = self.api.get(&path).await.expect(200).source() == "hit";
        }
        hits
    }

    async fn listed(&self, category: i64, id: i64) -> bool {
        let list = self.api.get(&format!("/products/by-category/{category}")).await.expect(200).json();
        list["products"].as_array().expect("a list").iter().any(|product| product["id"] == id)
    }
}

#[tokio::test]
async fn category_rename_invalidates_only_entries_with_its_tag() {
    let shelves = Shelves::stocked().await;
    let path = format!("/categories/{}", shelves.here);
    let renamed = shelves.api.put(&path, &json!({ "name": "Renamed" })).await.expect(200);
    assert_eq!(renamed.source(), "fwd=method; detail=invalidated");
    assert_eq!(shelves.hits().await, [false, false, true, false, true]);
    for path in &shelves.paths()[..2] {
        assert_eq!(shelves.api.get(path).await.expect(200).json()["category"]["name"], "Renamed");
    }
    let list = shelves.api.get(&format!("/products/by-category/{}", shelves.here)).await.expect(200).json();
    assert_eq!(list["category"]["name"], "Renamed");
    assert!(
        list["products"].as_array().expect("a list").iter().all(|product| product["category"]["name"] == "Renamed")
    );
}

#[tokio::test]
async fn product_change_invalidates_only_its_entry_and_its_list() {
    let shelves = Shelves::stocked().await;
    let written = shelves.api.put(&shelves.paths()[0], &json!({ "price_cents": 5 })).await.expect(200);
    assert_eq!(written.source(), "fwd=method; detail=invalidated");
    assert_eq!(shelves.hits().await, [false, true, true, false, true]);
}

/// A list cannot carry the tag of a product that was not on it: collection tags serve this purpose.
#[tokio::test]
async fn a_moved_product_leaves_one_list_and_enters_the_other_at_once() {
    let shelves = Shelves::stocked().await;
    let id = shelves.ids[0];
    shelves.api.put(&shelves.paths()[0], &json!({ "category_id": shelves.there })).await.expect(200);
    assert!(!shelves.listed(shelves.here, id).await && shelves.listed(shelves.there, id).await);
    shelves.fill().await;
    shelves.api.put(&shelves.paths()[0], &json!({ "category_id": shelves.here })).await.expect(200);
    assert!(shelves.listed(shelves.here, id).await && !shelves.listed(shelves.there, id).await);
}

#[tokio::test]
async fn changes_made_elsewhere_reach_the_lists_by_event() {
    let shelves = Shelves::stocked().await;
    let api = &shelves.api;
    let new = json!({ "name": "Another", "price_cents": 100, "category_id": shelves.here });
    let id = api.post("/products", &new).await.expect(201).json()["id"].as_i64().expect("an id");
    eventually("the created product in its list", SOON, async || shelves.listed(shelves.here, id).await).await;
    api.put(&format!("/products/{id}"), &json!({ "category_id": shelves.there })).await.expect(200);
    eventually("the moved product in the other list", SOON, async || {
        shelves.listed(shelves.there, id).await && !shelves.listed(shelves.here, id).await
    })
    .await;
    api.delete(&format!("/products/{id}")).await.expect(204);
    eventually("the deleted product out of the list", SOON, async || !shelves.listed(shelves.there, id).await).await;
}

#[tokio::test]
async fn a_list_shows_the_category_the_number_and_the_products() {
    let shelves = Shelves::stocked().await;
    let list = shelves.api.get(&format!("/products/by-category/{}", shelves.here)).await.expect(200);
    let (json, products) = (list.json(), list.json()["products"].as_array().cloned().expect("a list"));
    let count = shelves.stores.sql("SELECT count(*) FROM products WHERE category_id = 1").await;
    assert_eq!((json["category"]["id"].clone(), json["total"].to_string()), (json!(1), count));
    assert!(products.len() >= 2 && products.iter().all(|product| product["category"]["id"] == 1));
    assert!(products.is_sorted_by_key(|product| product["id"].as_i64()));
    let info = shelves.api.get(&format!("/cache/stats/product:by-category:{}", shelves.here)).await.expect(200).json();
    assert_eq!(info["tags"], json!(["category:1", "products-of:1"]));
}

#[tokio::test]
async fn a_category_that_does_not_exist_is_cached_as_absent() {
    let (_stores, api) = started().await;
    for source in ["fwd=miss; stored", "hit"] {
        let read = api.get("/products/by-category/4711").await;
        read.problem(404, "not-found");
        assert_eq!(read.source(), source);
    }
    api.put("/categories/4711", &json!({ "name": "x" })).await.problem(404, "not-found");
}

/// The tag has more members than one script call removes.
#[tokio::test]
async fn a_tag_on_many_entries_is_emptied_completely() {
    let stores = Stores::start().await;
    // A near cache has keys of its own.
    let off = [("SEED_PRODUCTS", "0"), ("REDIS__NEAR_BOUND", "0s"), ("LANES__PRODUCTION__NEAR_STRICT", "0s")];
    let api = stores.api_with(&off).await;
    stores
        .sql("INSERT INTO products (name, price_cents, category_id) SELECT 'x', 1, 1 FROM generate_series(1, 600)")
        .await;
    stores.until_published().await;
    let ids: Vec<Value> =
        serde_json::from_str(&format!("[{}]", stores.sql("SELECT string_agg(id::text, ',') FROM products").await))
            .expect("ids");
    for id in &ids {
        api.get(&format!("/products/tags/{id}")).await.expect(200);
    }
    assert_eq!(
        stores.redis(&["DBSIZE"]).await.parse::<usize>().expect("a count"),
        ids.len() + ids.len() + 4,
        "entries, their own tags' sets, the category's, the registry, the fences, the stream"
    );
    api.put("/categories/1", &json!({ "name": "Renamed" })).await.expect(200);
    let left = stores.redis(&["EVAL", "return #redis.call('KEYS', 'product:tags:*')", "0"]).await;
    assert_eq!(left, "0");
}
