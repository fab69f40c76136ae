//! Tests of the recently applied events.

use super::*;

#[test]
fn highest_numbers_are_remembered() {
    let (mut applied, event) = (RecentEvents::default(), Uuid::now_v7());
    let many = REMEMBERED as u64;
    (1..=many + 1).for_each(|seq| applied.add(seq, event));
    let has = |seq| applied.has(seq, event);
    assert!(!has(1) && has(2) && has(many + 1) && !has(many + 2));
}

#[test]
fn another_event_with_the_same_number_is_not_recently_applied() {
    let (mut applied, before, restored) = (RecentEvents::default(), Uuid::now_v7(), Uuid::now_v7());
    applied.add(7, before);
    assert!(!applied.has(7, restored));
    applied.add(7, restored);
    assert!(applied.has(7, restored) && !applied.has(7, before));
}
