//! Settings: which values are accepted, which are refused, and the error messages.

use std::io::Write;

use serde::Deserialize;
use service::settings::{self, SettingsError};

const DEFAULTS: &str = r#"
    [http]
    port = 8004
    ratio = 1
    verbose = false

    [redis]
    url = "redis://127.0.0.1:6380"
    timeout = "50ms"

    [lanes.ttl]
    hard_ttl = "60s"
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    common: Common,
    lanes: Lanes,
}

/// A part of the sections that every service has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    http: Http,
    redis: Redis,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    port: u16,
    ratio: f64,
    verbose: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redis {
    url: String,
    password: Option<String>,
    #[serde(with = "humantime_serde")]
    timeout: std::time::Duration,
    pool: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lanes {
    ttl: Lane,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lane {
    #[serde(with = "humantime_serde")]
    hard_ttl: std::time::Duration,
}

fn load(env: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    settings::load(DEFAULTS, env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())))
}

#[test]
fn default_settings_are_sufficient() {
    let settings = load(&[]).unwrap();
    assert_eq!(settings.common.http.port, 8004);
    assert_eq!(settings.common.redis.url, "redis://127.0.0.1:6380");
    assert_eq!(settings.common.redis.password, None);
    assert_eq!(settings.lanes.ttl.hard_ttl.as_secs(), 60);
}

#[test]
fn environment_overrides_settings_at_any_depth() {
    let settings = load(&[
        ("HTTP__PORT", "9000"),
        ("HTTP__RATIO", "0.5"),
        ("HTTP__VERBOSE", "true"),
        ("REDIS__TIMEOUT", "2s"),
        ("REDIS__POOL", "4"),
        ("LANES__TTL__HARD_TTL", "5m"),
    ])
    .unwrap();
    assert_eq!(settings.common.http.port, 9000);
    assert_eq!(settings.common.http.ratio, 0.5);
    assert!(settings.common.http.verbose);
    assert_eq!(settings.common.redis.timeout.as_secs(), 2);
    assert_eq!(settings.common.redis.pool, Some(4));
    assert_eq!(settings.lanes.ttl.hard_ttl.as_secs(), 300);
}

#[test]
fn text_setting_that_looks_like_a_number_stays_text() {
    for password in ["007", "1e5", "true", "0x10", "", "a__b", "a=b,c"] {
        let settings = load(&[("REDIS__PASSWORD", password)]).unwrap();
        assert_eq!(settings.common.redis.password.as_deref(), Some(password));
    }
}

#[test]
fn environment_variables_of_other_programs_are_ignored() {
    load(&[
        ("PATH", "/bin"),
        ("HTTP_PROXY", "http://proxy"),
        ("REDIS_PORT", "tcp://10.0.0.1:6379"),
        ("GRAFANA__PORT", "3000"),
        ("__CF_USER_TEXT_ENCODING", "0x0"),
    ])
    .unwrap();
}

#[test]
fn invalid_settings_are_refused_with_an_exact_message() {
    let table = [
        ("REDIS__TIMEUOT", "1s", "REDIS__TIMEUOT is not a setting; did you mean REDIS__TIMEOUT?"),
        ("RDEIS__TIMEOUT", "1s", "RDEIS__TIMEOUT is not a setting; did you mean REDIS__TIMEOUT?"),
        ("LANE__TTL__HARD_TTL", "1s", "LANE__TTL__HARD_TTL is not a setting; did you mean LANES__TTL__HARD_TTL?"),
        ("LANES__TLL__HARD_TTL", "1s", "LANES__TLL is not a setting; did you mean LANES__TTL?"),
        ("LANES__TTL__HARDTTL", "1s", "LANES__TTL__HARDTTL is not a setting; did you mean LANES__TTL__HARD_TTL?"),
        (
            "HTTP__COLOUR",
            "red",
            "HTTP__COLOUR is not a setting; expected one of HTTP__PORT, HTTP__RATIO, HTTP__VERBOSE",
        ),
        ("HTTP__PORT", "eighty", "HTTP__PORT must be a number, not \"eighty\""),
        ("HTTP__PORT", "yes", "HTTP__PORT must be a number, not \"yes\""),
        ("HTTP__PORT", "", "HTTP__PORT must be a number, not \"\""),
        ("HTTP__PORT", "70000", "HTTP__PORT must be an unsigned 16 bit integer, not 64-bit unsigned integer `70000`"),
        ("HTTP__PORT", "-1", "HTTP__PORT must be an integer, not string \"-1\""),
        ("HTTP__PORT", "80.5", "HTTP__PORT must be an integer, not string \"80.5\""),
        ("HTTP__VERBOSE", "maybe", "HTTP__VERBOSE must be a boolean, not string \"maybe\""),
        ("REDIS__POOL", "many", "REDIS__POOL must be an integer, not string \"many\""),
        (
            "REDIS__TIMEOUT",
            "soon",
            "REDIS__TIMEOUT cannot be used: invalid value: string \"soon\", expected a duration",
        ),
        ("LANES__TTL", "60s", "LANES__TTL cannot be used: invalid type: string \"60s\", expected struct Lane"),
        ("HTTP__PORT__X", "1", "HTTP__PORT must be an integer, not map"),
        (
            "CONFIG_FILE",
            "/does/not/exist",
            "CONFIG_FILE names /does/not/exist, which cannot be used: No such file or directory (os error 2)",
        ),
    ];
    let mut wrong = Vec::new();
    for (name, value, expected) in table {
        let refusal = load(&[(name, value)]).expect_err(name).to_string();
        if refusal != expected {
            wrong.push(format!("{name}={value}\n  expected {expected}\n  got      {refusal}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn setting_without_value_and_default_is_refused_with_its_name() {
    let defaults = DEFAULTS.replace("port = 8004", "");
    let refusal = settings::load::<Settings>(&defaults, []).unwrap_err();
    assert_eq!(refusal.to_string(), "HTTP__PORT has no value and no default");
}

#[test]
fn settings_file_overrides_defaults_and_environment_overrides_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "[http]\nport = 1\nratio = 2").unwrap();
    let path = file.path().to_str().unwrap();
    let settings = load(&[("CONFIG_FILE", path), ("HTTP__PORT", "3")]).unwrap();
    assert_eq!(settings.common.http.port, 3, "the environment wins over the file");
    assert_eq!(settings.common.http.ratio, 2.0, "the file wins over the defaults");
    assert!(!settings.common.http.verbose, "the defaults remain");
}

#[test]
fn settings_file_is_checked_like_the_environment() {
    let table = [
        ("[htpp]\nport = 1", "HTPP is not a setting; did you mean HTTP?"),
        ("[http]\nprot = 1", "HTTP__PROT is not a setting; did you mean HTTP__PORT?"),
        ("[http]\nport = \"x\"", "HTTP__PORT must be an integer, not string \"x\""),
    ];
    for (text, expected) in table {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{text}").unwrap();
        let refusal = load(&[("CONFIG_FILE", file.path().to_str().unwrap())]).unwrap_err();
        assert_eq!(refusal.to_string(), expected);
    }
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "[http").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let refusal = load(&[("CONFIG_FILE", &path)]).unwrap_err().to_string();
    assert!(refusal.starts_with(&format!("CONFIG_FILE names {path}, which cannot be used: ")), "{refusal}");
}
