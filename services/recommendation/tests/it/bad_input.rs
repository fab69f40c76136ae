//! Invalid requests get a problem that says why.

use reqwest::Method;

use crate::support::{Service, started};

#[tokio::test]
async fn invalid_product_ids_are_malformed() {
    let (_stores, _api, ours) = started().await;
    for id in ["abc", "0", "-1", "+1", "1.0", "1e3", "%20", "1%20", "%00", "9223372036854775808", "%FF", "'1'"] {
        ours.get(&format!("/recommendations/{id}")).await.problem(400, "malformed");
    }
    ours.get(&format!("/recommendations/{}", i64::MAX)).await.problem(404, "not-found");
}

#[tokio::test]
async fn invalid_parameters_are_refused_by_name() {
    let (_stores, _api, ours) = started().await;
    let cart = "67e55044-10b1-426f-9247-bb680e5fe0c8";
    for limit in ["0", "13", "-1", "9223372036854775807"] {
        for path in [format!("/recommendations/1?limit={limit}"), format!("/recommendations?cart={cart}&limit={limit}")]
        {
            let problem = ours.get(&path).await.problem(422, "invalid-fields");
            assert_eq!(problem["errors"][0]["field"], "limit", "{path}: {problem}");
        }
    }
    for query in ["", "?cart=", "?cart=1", "?cart=abc", &format!("?cart={{{cart}}}"), &format!("?cart={}", &cart[1..])]
    {
        let problem = ours.get(&format!("/recommendations{query}")).await.problem(422, "invalid-fields");
        assert_eq!(problem["errors"][0]["field"], "cart", "{query}: {problem}");
    }
    for query in ["limit=many", "limit=", "limit=1.5", "limit=99999999999999999999", "limt=3", "limit=1&limit=2"] {
        ours.get(&format!("/recommendations/1?{query}")).await.problem(400, "malformed");
        ours.get(&format!("/recommendations?cart={cart}&{query}")).await.problem(400, "malformed");
    }
}

#[tokio::test]
async fn other_methods_and_other_paths_are_refused() {
    let (_stores, _api, ours) = started().await;
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        for path in ["/recommendations", "/recommendations/1"] {
            let answer = Service::send(ours.request(method.clone(), path)).await;
            assert_eq!(
                (answer.status, answer.header("allow")),
                (405, "GET, HEAD, OPTIONS"),
                "{method} {path}: {answer:?}"
            );
        }
    }
    ours.get("/recommendation").await.problem(404, "not-found");
    ours.get("/recommendations/1/2").await.problem(404, "not-found");
}
