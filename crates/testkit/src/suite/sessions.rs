//! Settings that an administrator gives a role (`ALTER ROLE … SET`) do not affect the service's own sessions.

use super::DatabaseSubject;
use crate::{FOREIGN_SETTINGS, Postgres};

/// The role gets one foreign setting after the other while the service runs.
pub async fn running_service_is_not_harmed_by_settings_of_its_role<S: DatabaseSubject>() {
    let mut subject = S::prepare().await;
    let (postgres, database) = (Postgres::shared().await, database(&subject));
    let url = postgres.create_owner(&database).await.expect("a new role");
    let service = subject.start(&[("POSTGRES__URL", &url)]).await;
    for (round, setting) in (0..).zip(FOREIGN_SETTINGS) {
        postgres.set_for_owner(&database, &[setting]).await.expect("the test's own SQL");
        subject.assert_works(&service, round, setting).await;
    }
}

/// The role has all foreign settings when the service starts for the first time.
pub async fn service_brings_up_an_empty_database_under_foreign_settings<S: DatabaseSubject>() {
    let mut subject = S::prepare().await;
    let (postgres, database) = (Postgres::shared().await, database(&subject));
    let url = postgres.create_owner(&database).await.expect("a new role");
    postgres.set_for_owner(&database, &FOREIGN_SETTINGS).await.expect("the test's own SQL");
    let service = subject.start(&[("POSTGRES__URL", &url)]).await;
    subject.assert_works(&service, 0, "all of them").await;
}

fn database(subject: &impl DatabaseSubject) -> String {
    subject.database().expect("the service has a database").name().to_owned()
}
