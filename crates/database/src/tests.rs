//! What settings accept, and what errors disclose.

use std::time::Duration;

use super::*;
use crate::connect::ConnectError;

fn settings(url: &str) -> PostgresSettings {
    serde_json::from_value(serde_json::json!({ "url": url })).expect("only the URL is required")
}

fn refused(sqlstate: &str) -> ConnectError {
    ConnectError::Refused {
        sqlstate: sqlstate.to_owned(),
        message: "Passwort-Authentifizierung fehlgeschlagen".to_owned(),
    }
}

#[test]
fn connection_error_names_the_address_and_never_the_password() {
    let cases = [
        ("postgres://shop:secret@db:5432/shop_db", "db:5432/shop_db"),
        ("postgresql://shop:secret@db/shop_db?connect_timeout=3", "db/shop_db"),
        ("postgres://shop:se@cret@db/shop_db", "the place in `postgres.url`"),
        ("postgres://shop:se?cret@db/shop_db", "the place in `postgres.url`"),
        ("postgres://db/shop_db?user=shop&password=a@secret", "the place in `postgres.url`"),
        ("postgres://shop:secret", "the place in `postgres.url`"),
        ("host=db user=shop password=secret", "the place in `postgres.url`"),
    ];
    for (url, address) in cases {
        let settings = settings(url);
        assert_eq!(settings.address(), address, "{url}");
        let text = format!("{settings:?} {}", StartupError::connecting(&settings, &refused("28P01")));
        assert!(!text.contains("secret") && !text.contains("cret@"), "{text}");
    }
}

#[test]
fn only_configuration_errors_are_reported_as_refused() {
    let cases = [
        (ConnectError::Unreachable("connection refused".to_owned()), false),
        (refused("57P03"), false),
        (refused("53300"), false),
        (refused("28P01"), true),
        (refused("3D000"), true),
        (ConnectError::Settings("invalid connection string".to_owned()), true),
    ];
    let settings = settings("postgres://shop:secret@db/shop_db");
    for (error, lasting) in cases {
        let startup = StartupError::connecting(&settings, &error);
        assert_eq!(matches!(startup, StartupError::Refused { .. }), lasting, "{error:?}");
    }
}

#[test]
fn misspelt_postgres_setting_is_refused() {
    let error =
        serde_json::from_str::<PostgresSettings>(r#"{ "url": "", "max_conections": 4 }"#).expect_err("misspelt");
    assert!(error.to_string().contains("max_conections"), "{error}");
}

#[test]
fn durations_in_settings_have_a_unit() {
    let json = r#"{ "url": "", "wait_timeout": "250ms", "max_connections": 4 }"#;
    let settings: PostgresSettings = serde_json::from_str(json).expect("valid");
    assert_eq!(settings.wait_timeout, Duration::from_millis(250));
    assert_eq!(settings.max_connections.get(), 4);
    assert!(serde_json::from_str::<PostgresSettings>(r#"{ "url": "", "max_connections": 0 }"#).is_err());
}
