//! The operations routes require their token when one is configured.

use reqwest::Method;
use testkit::http::Service;

use crate::support::{Search, Shop};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn operations_routes_require_the_token_when_there_is_one() {
    let shop = Shop::start().await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), TOKEN).expect("it is written");
    let search = Search::with(&shop, &[("OPERATIONS__TOKEN_FILE", file.path().to_str().expect("a plain path"))]).await;
    search.get("/search?q=lamp").await.expect(200);
    for route in ["/cache/entries", "/cache/stats/search:page:q", "/cache/feed", "/metrics"] {
        let refused = search.get(route).await;
        refused.problem(401, "unauthorized");
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"operations\"", "{route}");
    }
    for route in ["/cache/entries", "/metrics"] {
        let opened = search.request(Method::GET, route).header("authorization", format!("Bearer {TOKEN}"));
        Service::send(opened).await.expect(200);
    }
}
