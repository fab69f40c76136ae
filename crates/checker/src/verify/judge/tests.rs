use std::time::Duration;

use super::*;

const MS: Nanos = 1_000_000;

fn read(begin: Nanos, end: Nanos, number: u32, version: u32) -> Read {
    let seen = Seen::Write { number, version: Some(version) };
    Read {
        begin: begin * MS,
        end: end * MS,
        key: 1,
        session: 1,
        node: 0,
        source: Source::Hit,
        kept: true,
        flagged: false,
        seen,
    }
}

fn write(begin: Nanos, end: Nanos, number: u32, outcome: Written) -> Write {
    let (begin, end, source) = (begin * MS, end * MS, Source::Uncached);
    Write { begin, end, key: 1, session: 2, node: 0, source, number, outcome }
}

/// A product with version 1 from the start, and version 2 written from 10 to 20 ms.
fn judge() -> Judge {
    let mut judge = Judge::default();
    judge.created(1, CREATION, 1);
    judge.learn(vec![write(10, 20, 7, Written::Acknowledged(2))]);
    judge
}

fn anomaly(read: &Read, promise: Promise) -> Option<Anomaly> {
    judge().judge(read, promise).anomaly
}

#[test]
fn version_outdated_before_the_read_began_is_stale() {
    let old = |begin, end| read(begin, end, CREATION, 1);
    assert_eq!(anomaly(&old(21, 22), Promise::Never), Some(Anomaly::Stale));
    assert_eq!(anomaly(&old(19, 30), Promise::Never), None, "it began before the answer to the write");
    assert_eq!(anomaly(&old(1, 5), Promise::Never), None);
    assert_eq!(anomaly(&read(21, 22, 7, 2), Promise::Never), None);
}

#[test]
fn staleness_since_the_first_newer_version_is_bounded_by_the_promise() {
    let mut judge = judge();
    judge.learn(vec![write(40, 50, 8, Written::Acknowledged(3))]);
    let judged = judge.judge(&read(60, 61, CREATION, 1), Promise::AtMost(Duration::from_millis(45)));
    assert_eq!((judged.anomaly, judged.floor, judged.stale_for, judged.window), (None, 3, 40 * MS, 51 * MS));
    let judged = judge.judge(&read(66, 67, CREATION, 1), Promise::AtMost(Duration::from_millis(45)));
    assert_eq!(judged.anomaly, Some(Anomaly::Stale));
}

#[test]
fn unacknowledged_write_does_not_raise_the_floor() {
    for outcome in [Written::Deferred(3), Written::Unknown] {
        let mut judge = judge();
        judge.learn(vec![write(30, 40, 8, outcome)]);
        assert_eq!(judge.judge(&read(50, 51, 7, 2), Promise::Never).anomaly, None, "{outcome:?}");
        assert_eq!(judge.judge(&read(52, 53, 8, 3), Promise::Never).anomaly, None, "{outcome:?}");
    }
}

#[test]
fn two_writes_with_the_same_version_mean_a_lost_write() {
    for (first, second) in [
        (Written::Acknowledged(3), Written::Acknowledged(3)),
        (Written::Deferred(3), Written::Acknowledged(3)),
        (Written::Acknowledged(3), Written::Deferred(3)),
    ] {
        let mut judge = judge();
        assert!(judge.learn(vec![write(30, 40, 8, first)]).is_empty());
        let lost = judge.learn(vec![write(60, 70, 9, second)]);
        assert_eq!((lost.len(), lost[0].version, lost[0].writes.map(|write| write.number)), (1, 3, [8, 9]));
    }
    let mut judge = judge();
    assert_eq!(judge.learn(vec![write(30, 40, 8, Written::Acknowledged(1))]).len(), 1, "it made the first one again");
    assert!(judge.learn(vec![Write { key: 2, ..write(50, 60, 9, Written::Acknowledged(2)) }]).is_empty());
}

#[test]
fn deferred_write_must_not_be_lost() {
    let mut judge = judge();
    assert_eq!(judge.acknowledged(1), 2);
    judge.learn(vec![write(30, 40, 8, Written::Deferred(3)), write(50, 60, 9, Written::Unknown)]);
    assert_eq!(judge.acknowledged(1), 3);
}

#[test]
fn read_of_a_write_that_has_not_begun_is_future() {
    assert_eq!(anomaly(&read(5, 9, 7, 2), Promise::Never), Some(Anomaly::Future));
    assert_eq!(anomaly(&read(5, 11, 7, 2), Promise::Never), None, "it may have been committed at once");
    assert_eq!(anomaly(&read(21, 22, 99, 2), Promise::Never), Some(Anomaly::Future));
}

#[test]
fn version_belongs_to_exactly_one_write() {
    assert_eq!(anomaly(&read(21, 22, CREATION, 2), Promise::Never), Some(Anomaly::Torn));
    assert_eq!(anomaly(&Read { seen: Seen::Torn, ..read(21, 22, 7, 2) }, Promise::Never), Some(Anomaly::Torn));
}

#[test]
fn existing_product_must_not_be_absent() {
    assert_eq!(anomaly(&Read { seen: Seen::Absent, ..read(1, 2, 7, 2) }, Promise::Never), Some(Anomaly::Stale));
}

#[test]
fn session_may_go_back_only_after_a_response_that_no_cache_keeps() {
    let promise = Promise::AtMost(Duration::from_secs(9));
    let mut judge = judge();
    assert_eq!(judge.judge(&Read { kept: false, ..read(12, 13, 7, 2) }, promise).anomaly, None);
    assert_eq!(judge.judge(&read(14, 15, CREATION, 1), promise).anomaly, None);
    assert_eq!(judge.judge(&read(16, 17, 7, 2), promise).anomaly, None);
    assert_eq!(judge.judge(&read(18, 19, CREATION, 1), promise).anomaly, Some(Anomaly::Backwards));
    let other = Read { session: 2, ..read(18, 19, CREATION, 1) };
    assert_eq!(judge.judge(&other, promise).anomaly, None);
}

#[test]
fn session_may_go_back_to_the_memory_of_another_process_until_the_write_is_acknowledged() {
    let near =
        |node, begin, number, version| Read { source: Source::Near, node, ..read(begin, begin + 1, number, version) };
    let mut judge = judge();
    for earlier in [read(12, 13, 7, 2), near(0, 14, 7, 2)] {
        assert_eq!(judge.judge(&earlier, Promise::Never).anomaly, None);
        assert_eq!(judge.judge(&near(1, 15, CREATION, 1), Promise::Never).anomaly, None);
    }
    assert_eq!(judge.judge(&near(1, 16, 7, 2), Promise::Never).anomaly, None);
    assert_eq!(judge.judge(&near(1, 18, CREATION, 1), Promise::Never).anomaly, Some(Anomaly::Backwards), "one memory");
    assert_eq!(judge.judge(&near(0, 25, CREATION, 1), Promise::Never).anomaly, Some(Anomaly::Stale), "acknowledged");
}

#[test]
fn session_may_go_back_to_the_own_state_of_a_replica_that_no_cache_keeps() {
    let promise = Promise::AtMost(Duration::from_secs(9));
    for (is_replicated, kept, expected) in
        [(true, false, None), (true, true, Some(Anomaly::Backwards)), (false, false, Some(Anomaly::Backwards))]
    {
        let mut judge = Judge { is_replicated, ..judge() };
        assert_eq!(judge.judge(&read(12, 13, 7, 2), promise).anomaly, None);
        assert_eq!(judge.judge(&Read { kept, ..read(14, 15, CREATION, 1) }, promise).anomaly, expected);
    }
}

#[test]
fn flagged_response_outside_caches_may_be_outdated_but_not_torn() {
    let promise = Promise::AtMost(Duration::from_millis(1));
    let flagged = Read { flagged: true, kept: false, ..read(58, 59, CREATION, 1) };
    let mut judge = judge();
    assert_eq!(judge.judge(&read(50, 51, 7, 2), promise).anomaly, None);
    assert_eq!(judge.judge(&flagged, promise).anomaly, None, "neither too old nor backwards");
    assert_eq!(judge.judge(&Read { kept: true, ..flagged }, promise).anomaly, Some(Anomaly::Stale));
    assert_eq!(judge.judge(&Read { flagged: false, ..flagged }, promise).anomaly, Some(Anomaly::Stale));
    assert_eq!(judge.judge(&Read { seen: Seen::Torn, ..flagged }, promise).anomaly, Some(Anomaly::Torn));
}
