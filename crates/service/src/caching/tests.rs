use std::collections::HashMap;

use actix_web::test::TestRequest;
use proptest::prelude::*;

use super::*;

proptest! {
    /// Rows and values: representations with different bytes have different validators.
    #[test]
    fn representations_with_different_bytes_never_share_a_validator(
        bodies in prop::collection::vec((any::<i64>(), prop::collection::vec(0u8..4, 0..6)), 2..20)
    ) {
        let mut known: HashMap<String, Vec<u8>> = HashMap::new();
        for (version, body) in bodies {
            let mut row = body.clone();
            row.extend(version.to_be_bytes());
            for (validator, bytes) in [
                (Validator::of_row_body(version, &row), row.clone()),
                (Validator::of_body(&body), body.clone()),
            ] {
                let shared = known.entry(validator.to_string()).or_insert_with(|| bytes.clone());
                prop_assert_eq!(&*shared, &bytes);
            }
        }
    }

    #[test]
    fn digest_distinguishes_any_two_bodies(one: Vec<u8>, other: Vec<u8>) {
        let (first, second) = (Validator::of_body(&one), Validator::of_body(&other));
        prop_assert_eq!(first == second, one == other);
    }
}

#[test]
fn weak_tags_match_weakly_only() {
    let validator = Validator::of_number(7);
    let (strong, weak) = (EntityTag::new_strong("7".to_owned()), EntityTag::new_weak("7".to_owned()));
    assert!(validator.is_strongly(&strong) && validator.is_weakly(&strong));
    assert!(!validator.is_strongly(&weak) && validator.is_weakly(&weak));
    let compressed = EntityTag::new_strong("7-gzip".to_owned());
    assert!(validator.is_strongly(&compressed) && validator.is_weakly(&compressed));
}

fn request(name: header::HeaderName, value: &str) -> HttpRequest {
    TestRequest::default().insert_header((name, value)).to_http_request()
}

#[test]
fn if_match_compares_strongly_and_needs_a_representation() {
    let current = Validator::of_number(7);
    for (value, holds) in [
        ("*", Some(true)),
        ("\"7\"", Some(true)),
        ("\"7\", \"8\"", Some(true)),
        ("\"a,b\"", Some(false)),
        ("\"a,b\", \"7\"", Some(true)),
        ("\"a,\"7\",b\"", None),
        ("\"8\"", Some(false)),
        ("W/\"7\"", Some(false)),
        ("7", None),
        ("\"7\" \"8\"", None),
        ("\"7\", 8", None),
        ("*, \"7\"", None),
        ("\"7\", ", Some(true)),
        (",", None),
        ("", None),
    ] {
        let conditions = Preconditions::of(&request(header::IF_MATCH, value));
        assert_eq!(conditions.as_ref().ok().map(|some| some.hold_for(Some(&current))), holds, "{value}");
        assert!(conditions.is_err() || !conditions.unwrap().hold_for(None), "{value} holds for nothing");
    }
}

#[test]
fn if_none_match_of_a_write_fails_for_the_named_validators() {
    let current = Validator::of_number(7);
    for (value, holds) in [
        ("*", false),
        ("\"7\"", false),
        ("W/\"7\"", false),
        ("\"8\"", true),
        ("\"a,b\"", true),
        ("\"a,b\", \"7\"", false),
    ] {
        let conditions = Preconditions::of(&request(header::IF_NONE_MATCH, value)).unwrap();
        assert_eq!(conditions.hold_for(Some(&current)), holds, "{value}");
        assert!(conditions.hold_for(None), "{value}: what does not exist matches nothing");
    }
    assert!(Preconditions::of(&request(header::IF_NONE_MATCH, "\"8\", 7")).is_err(), "a member that is no tag");
    assert!(Preconditions::default().is_empty() && Preconditions::default().hold_for(None));
}

#[test]
fn if_none_match_of_a_read_compares_weakly() {
    for (value, is_same) in [
        ("\"7\"", true),
        ("W/\"7\"", true),
        ("*", true),
        ("\"6\", \"7\"", true),
        ("\"a,b\", \"7\"", true),
        ("\"8\"", false),
        ("\"a,b\"", false),
        ("7", false),
        ("\"a,\"7\",b\"", false),
        ("\"7\", nonsense", false),
    ] {
        let request = request(header::IF_NONE_MATCH, value);
        assert_eq!(is_unchanged(&request, &Validator::of_number(7)), is_same, "{value}");
    }
}

#[test]
fn max_age_never_exceeds_the_remaining_ttl_of_the_entry() {
    for (caching, soft, hard, header) in [
        (Caching::Validated, 10_000, 10_000, "no-cache"),
        (Caching::Private, 10_000, 10_000, "private, no-store"),
        (Caching::Never, 10_000, 10_000, "no-store"),
        (Caching::Ttl, 10_000, 10_000, "max-age=9"),
        (Caching::Ttl, 2_500, 2_500, "max-age=2"),
        (Caching::Ttl, 999, 999, "no-cache"),
        (Caching::Ttl, -5_000, 3_000, "no-cache"),
        (Caching::Ttl, 0, 0, "no-cache"),
        (Caching::StaleWhileRevalidate, 5_000, 60_000, "max-age=4, stale-while-revalidate=55"),
        (Caching::StaleWhileRevalidate, -4_000, 51_000, "max-age=0, stale-while-revalidate=50"),
        (Caching::StaleWhileRevalidate, 2_500, 2_500, "max-age=2"),
        (Caching::StaleWhileRevalidate, 0, 0, "no-cache"),
    ] {
        assert_eq!(caching.header(soft, hard), header, "{caching:?} {soft} {hard}");
    }
}
