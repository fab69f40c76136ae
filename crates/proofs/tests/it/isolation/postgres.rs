//! Databases: a role can connect only to its own database, and has no special rights there.

use anyhow::{Result, ensure};
use testkit::Postgres;
use tokio::process::Command;

use super::{deploy, password};

/// The database and the role of each service, and the variable with its password.
const DATABASES: [(&str, &str, &str); 3] = [
    ("shop_db", "shop_user", "SHOP_DB_PASSWORD"),
    ("cart_db", "cart_user", "CART_DB_PASSWORD"),
    ("recommendation_db", "recommendation_user", "RECOMMENDATION_DB_PASSWORD"),
];

/// Runs the script that creates the databases.
async fn create(postgres: &Postgres) -> Result<()> {
    let mut script = Command::new("sh");
    script.arg(deploy("postgres/databases"));
    script.envs([("PGHOST", "127.0.0.1"), ("PGPORT", &postgres.port().to_string()), ("PGUSER", "postgres")]);
    script.envs(DATABASES.map(|(_, _, variable)| (variable, password())));
    let output = script.output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

async fn refusal(postgres: &Postgres, role: &str, database: &str, sql: &str) -> String {
    match postgres.sql_as(role, database, sql).await {
        Ok(printed) => panic!("{role} must not be able to, in {database}: {sql}; printed: {printed}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_role_can_connect_to_its_own_database_only() -> Result<()> {
    let postgres = Postgres::start().await?;
    create(&postgres).await?;
    create(&postgres).await?; // again, as every `up` does
    for (database, role, _) in DATABASES {
        postgres.sql_as(role, database, "CREATE TABLE mine (id int); INSERT INTO mine VALUES (1)").await?;
        let others = DATABASES.iter().map(|(other, _, _)| *other).filter(|other| *other != database);
        for other in others.chain(["postgres", "template1"]) {
            let said = refusal(&postgres, role, other, "SELECT 1").await;
            assert!(said.contains("permission denied for database"), "{role} at {other}: {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_role_has_a_password_and_no_power_over_the_server() -> Result<()> {
    let postgres = Postgres::start().await?;
    create(&postgres).await?;
    let hashes = "SELECT count(*) FROM pg_authid WHERE rolname LIKE '%_user' AND rolpassword LIKE 'SCRAM-SHA-256%'";
    assert_eq!(postgres.sql("postgres", hashes).await?, "3");
    for (database, role, _) in DATABASES {
        for sql in [
            "CREATE DATABASE another", "CREATE ROLE another", "ALTER ROLE postgres PASSWORD 'mine'",
            "ALTER SYSTEM SET max_connections = 1", "COPY (SELECT 1) TO PROGRAM 'true'",
            "SELECT rolpassword FROM pg_authid", "SET ROLE postgres",
        ] {
            let said = refusal(&postgres, role, database, sql).await;
            assert!(said.contains("permission denied") || said.contains("must be"), "{role}: {sql}: {said}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn without_a_password_nothing_is_created() -> Result<()> {
    let postgres = Postgres::start().await?;
    let mut script = Command::new("sh");
    script.arg(deploy("postgres/databases"));
    script.envs([("PGHOST", "127.0.0.1"), ("PGPORT", &postgres.port().to_string()), ("PGUSER", "postgres")]);
    let output = script.env_remove("SHOP_DB_PASSWORD").output().await?;
    assert!(!output.status.success());
    assert_eq!(postgres.sql("postgres", "SELECT count(*) FROM pg_database WHERE datname = 'shop_db'").await?, "0");
    Ok(())
}
