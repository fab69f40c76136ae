//! What a policy refuses, and the TTLs that it gives to an entry.

use super::*;

const S: Duration = Duration::from_secs(1);

#[test]
fn validation_names_the_contradiction() {
    assert_eq!(Policy::ttl(10 * S).soft_ttl(5 * S).jitter(0.1).validate(), Ok(()));
    assert_eq!(Policy::ttl(Duration::ZERO).validate(), Err(PolicyError::HardTtl));
    assert_eq!(
        Policy::ttl(10 * S).soft_ttl(11 * S).validate(),
        Err(PolicyError::SoftTtl { soft: 11 * S, hard: 10 * S })
    );
    assert_eq!(
        Policy::ttl(10 * S).negative_ttl(11 * S).validate(),
        Err(PolicyError::NegativeTtl { negative: 11 * S, hard: 10 * S })
    );
    assert_eq!(Policy::ttl(10 * S).jitter(1.0).validate(), Err(PolicyError::Jitter(1.0)));
    assert_eq!(Policy::ttl(10 * S).lease(Duration::ZERO).validate(), Err(PolicyError::Lease(Duration::ZERO)));
    assert_eq!(
        Policy::ttl(10 * S).lease(2 * S).load_timeout(2 * S).validate(),
        Err(PolicyError::LoadTimeout { load_timeout: 2 * S, lease: 2 * S })
    );
    assert_eq!(Policy::ttl(10 * S).load_timeout(Duration::MAX).validate(), Err(PolicyError::Lease(Duration::MAX)));
    assert_eq!(Policy::ttl(10 * S).wait(Duration::MAX).validate(), Err(PolicyError::Wait(Duration::MAX)));
    for early in [EarlyRefresh::Share(0.0), EarlyRefresh::Share(1.0), EarlyRefresh::Probabilistic(f64::NAN)] {
        let refused = Policy::ttl(10 * S).early_refresh(early).validate();
        assert!(matches!(refused, Err(PolicyError::EarlyRefresh(_))), "{early:?}: {refused:?}");
    }
    assert_eq!(
        Policy::ttl(10 * S).stale_if_error(Duration::ZERO).validate(),
        Err(PolicyError::StaleIfError(Duration::ZERO))
    );
    for policy in [Policy::ttl(10 * S).soft_load_timeout(S), Policy::ttl(S).stale_if_error(S).soft_load_timeout(7 * S)]
    {
        assert!(matches!(policy.validate(), Err(PolicyError::SoftLoadTimeout { .. })), "{policy:?}");
    }
    assert_eq!(Policy::ttl(10 * S).serve_near_in_outage().validate(), Err(PolicyError::NearInOutage));
}

#[test]
fn load_that_ends_in_time_can_be_stored() {
    for policy in [
        Policy::ttl(S),
        Policy::ttl(S).lease(S / 100),
        Policy::ttl(S).load_timeout(S / 100),
        Policy::ttl(S).load_timeout(S).lease(2 * S),
    ] {
        assert_eq!(policy.validate(), Ok(()));
        assert!(policy.effective_load_timeout() < policy.lease_duration(), "{policy:?}");
    }
    assert_eq!((Policy::ttl(S).effective_load_timeout(), Policy::ttl(S).lease_duration()), (7 * S, 8 * S));
}

#[test]
fn jitter_only_shortens_ttls() {
    let policy = Policy::ttl(10 * S).soft_ttl(5 * S).negative_ttl(2 * S).jitter(0.5);
    assert_eq!(policy.ttls(false, None, 0.0), (5_000, 10_000));
    assert_eq!(policy.ttls(false, None, 1.0), (2_500, 5_000));
    assert_eq!(policy.ttls(true, None, 0.0), (2_000, 2_000));
}

#[test]
fn loader_only_shortens_ttls() {
    let policy = Policy::ttl(10 * S).soft_ttl(5 * S).negative_ttl(2 * S);
    assert_eq!(policy.ttls(false, Some(7 * S), 0.0), (5_000, 7_000));
    assert_eq!(policy.ttls(false, Some(S), 0.0), (1_000, 1_000));
    assert_eq!(policy.ttls(false, Some(20 * S), 0.0), (5_000, 10_000));
    assert_eq!(policy.ttls(true, Some(S), 0.0), (1_000, 1_000));
}
