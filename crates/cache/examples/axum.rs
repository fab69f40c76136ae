//! A service with axum that caches posts, and removes them when they change.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379 PORT=3000 cargo run --package cache --example axum
//! curl -i http://127.0.0.1:3000/posts/1                    # Cache-Status: blog; fwd=miss; stored, then hit
//! curl -X PUT http://127.0.0.1:3000/posts/1 -d 'New title'
//! ```

mod common;

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use cache::{Cache, CacheClient, Invalidation, NewEntry, Policy, Tag, with};
use tokio::net::TcpListener;

use common::{Database, DatabaseError, Post, redis_url};

#[derive(Clone)]
struct Blog {
    database: Database,
    client: CacheClient,
    posts: Cache<Post>,
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "an example has no settings")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = CacheClient::connect(&redis_url(), "axum-example").await?;
    // Fresh for a minute; then served stale for up to an hour, while one reader refreshes it.
    let policy = Policy::ttl(Duration::from_secs(3_600)).soft_ttl(Duration::from_secs(60));
    let posts = client.cache("post", policy)?;
    let blog = Blog { database: Database::with_posts(10), client, posts };
    let app = Router::new().route("/posts/{id}", get(show).put(rename)).with_state(blog.clone());

    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(0);
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}", listener.local_addr()?);
    let stop = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    // Invalidations that Redis has not acknowledged are repeated until then.
    blog.client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// The loader: the tag says which changes outdate the entry.
async fn load_post(database: &Database, id: u32) -> Result<NewEntry<Post>, DatabaseError> {
    let Some(post) = database.post(id).await? else { return Ok(NewEntry::absent()) };
    Ok(NewEntry::value(&post).version(post.version).tag(Tag::new("author", post.author)))
}

async fn show(State(blog): State<Blog>, Path(id): Path<u32>) -> Response {
    match blog.posts.read(id, with(&blog.database, id, load_post)).await {
        Ok(cached) => {
            let status = [
                (header::CONTENT_TYPE, "application/json".to_owned()),
                (header::HeaderName::from_static("cache-status"), format!("blog; {}", cached.outcome())),
            ];
            // The bytes are sent as they are stored.
            cached.body().map_or_else(|| StatusCode::NOT_FOUND.into_response(), |body| (status, body).into_response())
        }
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

async fn rename(State(blog): State<Blog>, Path(id): Path<u32>, title: String) -> Response {
    match blog.database.rename(id, &title).await {
        Ok(Some(post)) => {
            // After COMMIT, and before the response: a read that begins after the response sees the change.
            let outdated = Invalidation::hard().key(blog.posts.key(id)).tag(Tag::new("author", post.author));
            match blog.client.invalidate(outdated).await.acknowledged() {
                Ok(_) => StatusCode::NO_CONTENT.into_response(),
                // The change is committed; Redis does not answer, and the client repeats the invalidation.
                Err(_) => StatusCode::ACCEPTED.into_response(),
            }
        }
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}
