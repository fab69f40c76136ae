//! Postgres over TLS: the same connections, and the same watchdog.

use std::time::{Duration, Instant};

use database::{Error, Pool, PostgresSettings, StartupError, connect, establish_listening, sql};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use serde_json::json;
use testkit::{Certificates, Postgres, Proxy};
use tokio::time::timeout;

use crate::support::{Database, Name, SOON};

const SILENCE: Duration = Duration::from_secs(10);

async fn pool_at(url: &str) -> Result<Pool, StartupError> {
    let settings = json!({ "url": url, "max_connections": 2, "wait_timeout": "10s", "statement_timeout": "1s" });
    let settings: PostgresSettings = serde_json::from_value(settings).expect("settings");
    connect(&settings, "pool", Duration::ZERO).await
}

async fn name(pool: &Pool, query: &str) -> Result<String, Error> {
    let read = async |connection: &mut _| Ok::<Name, Error>(sql(query).get_result(connection).await?);
    Ok(pool.run(read).await?.name)
}

#[tokio::test]
async fn pool_speaks_tls_with_a_client_certificate() {
    let postgres = Postgres::start_over_tls().await.expect("a server");
    let pool = pool_at(&postgres.url_over_tls()).await.expect("connections");
    let query = "SELECT concat_ws(' ', ssl, version, client_dn IS NOT NULL) AS name
                 FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(name(&pool, query).await.expect("a row"), "t TLSv1.3 t");
}

#[tokio::test]
async fn connection_over_tls_is_watched() {
    let postgres = Postgres::start_over_tls().await.expect("a server");
    let proxy = Proxy::to(postgres.port()).await.expect("a proxy");
    let url = postgres.url_over_tls().replace(&format!(":{}/", postgres.port()), &format!(":{}/", proxy.port()));
    let pool = pool_at(&url).await.expect("connections");
    proxy.hold();
    let began = Instant::now();
    let failed = timeout(SOON, name(&pool, "SELECT 'x' AS name")).await.expect("it notices the silence");
    failed.expect_err("Postgres does not answer");
    // The statement timeout and two seconds.
    assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
}

#[tokio::test]
async fn notifications_arrive_over_tls() {
    let postgres = Postgres::start_over_tls().await.expect("a server");
    let url = postgres.url_over_tls();
    let listening = establish_listening(&url, "LISTEN tests", SILENCE).await;
    let (_session, mut notifications) = listening.expect("a connection");
    let pool = pool_at(&url).await.expect("connections");
    pool.run(async |connection| Ok::<_, Error>(connection.batch_execute("NOTIFY tests; NOTIFY others").await?))
        .await
        .expect("it notifies");
    assert_eq!(timeout(SOON, notifications.recv()).await.expect("it arrives"), Some(()));
    postgres.kill().await.expect("it is killed");
    assert_eq!(timeout(SOON, notifications.recv()).await.expect("the connection ends"), None);
}

#[tokio::test]
async fn server_that_is_not_trusted_or_speaks_no_tls_is_refused() {
    let postgres = Postgres::start_over_tls().await.expect("a server");
    let Certificates { ca, server: [of_server, _], .. } = Certificates::get();
    let plain = Database::start().await.url;
    let (ca, of_server) = (ca.display(), of_server.display());
    for (url, part) in [
        // The certificate of a server is no authority.
        (format!("{}?sslmode=require&sslrootcert={of_server}", postgres.url("postgres")), "certificate"),
        (format!("{}?sslmode=require&sslrootcert={ca}", postgres.url("postgres")), "certificate"),
        (format!("{plain}?sslmode=require&sslrootcert={ca}"), "does not speak TLS"),
        (format!("{}?sslmode=disable", postgres.url("postgres")), "no pg_hba.conf entry"),
    ] {
        let Err(error) = pool_at(&url).await else { panic!("{url} was accepted") };
        assert!(error.to_string().contains(part), "{url}: {error}");
    }
}
