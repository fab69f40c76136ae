//! A service with actix-web that caches posts, and removes them when they change.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379 PORT=3000 cargo run --package cache --example actix
//! curl -i http://127.0.0.1:3000/posts/1                    # Cache-Status: blog; fwd=miss; stored, then hit
//! curl -X PUT http://127.0.0.1:3000/posts/1 -d 'New title'
//! ```

mod common;

use std::time::Duration;

use actix_web::web::{Data, Path, get, put};
use actix_web::{App, HttpResponse, HttpServer};
use cache::{Cache, CacheClient, Invalidation, NewEntry, Policy, Tag, with};

use common::{Database, DatabaseError, Post, redis_url};

#[derive(Clone)]
struct Blog {
    database: Database,
    client: CacheClient,
    posts: Cache<Post>,
}

#[actix_web::main]
#[expect(clippy::disallowed_methods, reason = "an example has no settings")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = CacheClient::connect(&redis_url(), "actix-example").await?;
    // Fresh for a minute; then served stale for up to an hour, while one reader refreshes it.
    let policy = Policy::ttl(Duration::from_secs(3_600)).soft_ttl(Duration::from_secs(60));
    let posts = client.cache("post", policy)?;
    let blog = Blog { database: Database::with_posts(10), client: client.clone(), posts };

    let port = std::env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(0);
    // All workers share the client: a clone leads to the same connection and the same memory.
    let app = move || {
        App::new()
            .app_data(Data::new(blog.clone()))
            .route("/posts/{id}", get().to(show))
            .route("/posts/{id}", put().to(rename))
    };
    let server = HttpServer::new(app).workers(2).bind(("127.0.0.1", port))?;
    println!("http://{}", server.addrs()[0]);
    server.run().await?;
    // Invalidations that Redis has not acknowledged are repeated until then.
    client.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// The loader: the tag says which changes outdate the entry.
async fn load_post(database: &Database, id: u32) -> Result<NewEntry<Post>, DatabaseError> {
    let Some(post) = database.post(id).await? else { return Ok(NewEntry::absent()) };
    Ok(NewEntry::value(&post).version(post.version).tag(Tag::new("author", post.author)))
}

async fn show(blog: Data<Blog>, id: Path<u32>) -> HttpResponse {
    match blog.posts.read(*id, with(&blog.database, *id, load_post)).await {
        Ok(cached) => {
            let status = ("cache-status", format!("blog; {}", cached.outcome()));
            // The bytes are sent as they are stored.
            match cached.body() {
                Some(body) => HttpResponse::Ok().content_type("application/json").insert_header(status).body(body),
                None => HttpResponse::NotFound().insert_header(status).finish(),
            }
        }
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}

async fn rename(blog: Data<Blog>, id: Path<u32>, title: String) -> HttpResponse {
    match blog.database.rename(*id, &title).await {
        Ok(Some(post)) => {
            // After COMMIT, and before the response: a read that begins after the response sees the change.
            let outdated = Invalidation::hard().key(blog.posts.key(*id)).tag(Tag::new("author", post.author));
            match blog.client.invalidate(outdated).await.acknowledged() {
                Ok(_) => HttpResponse::NoContent().finish(),
                // The change is committed; Redis does not answer, and the client repeats the invalidation.
                Err(_) => HttpResponse::Accepted().finish(),
            }
        }
        Ok(None) => HttpResponse::NotFound().finish(),
        Err(error) => HttpResponse::ServiceUnavailable().body(error.to_string()),
    }
}
