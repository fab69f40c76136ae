use super::*;

#[test]
fn key_of_one_partition_reads_as_a_person_would_type_it() {
    let key = Keyspace::new("product").unwrap().key("ttl", 1);
    assert_eq!((key.as_str(), key.local_name()), ("product:ttl:1", "ttl:1"));
}

#[test]
fn a_key_of_many_partitions_keeps_to_one_slot() {
    let keyspace = Keyspace::partitioned("product", 8).unwrap();
    let key = keyspace.key("ttl", 1);
    let prefix = keyspace.prefix(key.partition()).to_owned();
    assert!(prefix.starts_with("{product:") && prefix.ends_with("}:"));
    assert_eq!(key.as_str(), format!("{prefix}ttl:1"));
    assert!(keyspace.fence(key.partition()).starts_with(&prefix));
    assert!(keyspace.refresh_lock(&key).starts_with(&prefix));
}

#[test]
fn any_text_makes_a_key_without_control_characters() {
    let key = Keyspace::new("search").unwrap().key("page", "red shoes\n100%");
    assert_eq!(key.as_str(), "search:page:red%20shoes%0A100%25");
}

#[test]
fn parse_accepts_only_keys_of_its_keyspace() {
    for keyspace in [Keyspace::new("product").unwrap(), Keyspace::partitioned("product", 8).unwrap()] {
        for key in [keyspace.key("tags", 7), keyspace.key("page", "red shoes, 100%")] {
            assert_eq!(keyspace.parse(key.as_str()), Some(key));
        }
        for foreign in ["cart:view:1", "product:", "product:~fence", "{product:0}:~fence", "", "product:a b"] {
            assert_eq!(keyspace.parse(foreign), None, "{foreign}");
        }
    }
}

#[test]
fn names_with_special_characters_are_refused() {
    for name in ["", "a:b", "a b", "{a}", "A", "a*"] {
        assert!(Keyspace::new(name).is_err(), "{name}");
    }
    assert!(Keyspace::partitioned("a", 0).is_err());
}

#[test]
fn a_tag_cannot_break_the_header() {
    assert_eq!(Tag::new("category", 3).as_str(), "category:3");
    assert_eq!(Tag::new("q", "a,b c\n").as_str(), "q:a%2Cb%20c%0A");
}
