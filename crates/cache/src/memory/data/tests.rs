//! The refusals that no test of the whole cache reaches, because another check refuses the fill earlier.

use super::*;
use crate::keyspace::{Keyspace, Tag};

const NOW: u64 = 1_000_000;

fn key() -> Key {
    Keyspace::new("shop").unwrap().key("item", 1)
}

/// Begins the load of an entry in `data`.
fn begin(data: &mut KeyspaceData) -> Grant {
    match data.acquire(&key(), 1_000, NOW) {
        LeaseReply::Granted(grant) => grant,
        _ => panic!("the entry is absent"),
    }
}

fn end(data: &mut KeyspaceData, grant: &Grant) -> Result<(), Fill> {
    let loaded = Content { tags: vec![Tag::new("shelf", 1)], ..Content::absent() };
    let commit = Commit { loaded: &loaded, schema: 0, soft: 1_000, hard: 1_000, fallback: 0, limit: u64::MAX };
    data.commit(&key(), grant, &commit, NOW).map(drop)
}

#[test]
fn undisturbed_load_is_stored() {
    let mut data = KeyspaceData::default();
    let grant = begin(&mut data);
    assert_eq!(end(&mut data, &grant), Ok(()));
}

#[test]
fn load_from_before_a_purge_is_refused_although_its_lease_is_still_there() {
    let mut data = KeyspaceData::default();
    let grant = begin(&mut data);
    data.drop_generation();
    assert_eq!(end(&mut data, &grant), Err(Fill::Refused(FillRefusal::Generation)));
}

#[test]
fn load_is_refused_when_its_fence_was_folded_into_the_floor() {
    let mut data = KeyspaceData::default();
    let grant = begin(&mut data);
    data.fence_tag("shelf:1");
    for other in 0..MAX_FENCES {
        data.fence_tag(&format!("shelf:other-{other}"));
    }
    assert!(data.fence.as_ref().unwrap().tags.len() <= MAX_FENCES);
    assert_eq!(end(&mut data, &grant), Err(Fill::Refused(FillRefusal::BelowFloor)));
    let grant = begin(&mut data);
    assert_eq!(end(&mut data, &grant), Ok(()), "a load that begins afterwards");
}

/// The writer of the guard may have committed, and died before its invalidation.
#[test]
fn load_from_before_the_end_of_a_guard_is_refused_after_it() {
    let mut data = KeyspaceData::default();
    let grant = begin(&mut data);
    data.place_guard([&format!("{} t:shelf:1", RandomId::random())], NOW);
    assert_eq!(end(&mut data, &grant), Err(Fill::Refused(FillRefusal::BelowFloor)));
    let grant = begin(&mut data);
    assert_eq!(end(&mut data, &grant), Ok(()), "a load that begins afterwards");
}

#[test]
fn refresh_of_an_entry_that_has_changed_begins_no_load() {
    let mut data = KeyspaceData::default();
    let grant = begin(&mut data);
    assert!(matches!(data.refresh(&key(), RandomId::random().token('V'), 1_000, NOW), RefreshReply::Changed));
    assert_eq!(end(&mut data, &grant), Ok(()));
    let Some(StoredValue::Value(entry)) = data.get(&key(), NOW) else { panic!("it was stored") };
    let RefreshReply::Granted(refresh) = data.refresh(&key(), entry.token(), 1_000, NOW) else {
        panic!("the entry has not changed")
    };
    assert!(data.expire_key(key().as_str(), NOW));
    assert_eq!(
        end(&mut data, &refresh),
        Err(Fill::Refused(FillRefusal::LeaseLost)),
        "it was marked as stale in the meantime"
    );
    assert!(matches!(data.refresh(&key(), entry.token(), 1_000, NOW), RefreshReply::Changed));
}
