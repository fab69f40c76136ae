use super::*;

#[test]
fn digest_is_the_beginning_of_sha_256() {
    // FIPS 180-2, appendix B.1.
    assert_eq!(Digest::of(b"abc").to_string(), "ba7816bf8f01cfea414140de5dae2223");
    assert_eq!(Digest::of(b"").to_string(), "e3b0c44298fc1c149afbf4c8996fb924");
}

#[test]
fn value_is_encoded_and_none_is_absent() {
    let body = |entry: NewEntry<u32>| entry.into_content().unwrap().body;
    assert_eq!(body(NewEntry::from(7)).unwrap(), "7");
    assert_eq!(body(NewEntry::from(Some(7))).unwrap(), "7");
    assert_eq!(body(NewEntry::from(None)), None);
}

#[test]
fn value_that_is_no_json_has_no_content() {
    let keys_are_no_strings = std::collections::HashMap::from([((1, 2), 3)]);
    assert!(NewEntry::<_, Json>::value(&keys_are_no_strings).version(1).into_content().is_err());
}
