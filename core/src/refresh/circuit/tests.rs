use super::*;
use crate::Phase;

const AWAY: Sign = Sign::Away {
    retry_after: None,
    certain: false,
};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets so many grants fail, and answers whether the last one opened the circuit.
fn fail(circuits: &Circuits, grants: std::ops::Range<u64>, now: Duration) -> bool {
    let mut opened = false;
    for grant in grants {
        opened = circuits.pass("op", now).unwrap().said(AWAY, grant, now, 0);
    }
    opened
}

#[test]
fn five_grants_in_a_row_open_the_circuit_of_their_client_alone() {
    let circuits = Circuits::default();
    assert!(!fail(&circuits, 0..4, seconds(0)));
    assert!(fail(&circuits, 4..5, seconds(0)));
    assert_eq!(circuits.pass("op", seconds(1)).unwrap_err(), seconds(4));
    let _ = circuits.pass("another", seconds(1)).unwrap();
    circuits.forget("op");
    let _ = circuits.pass("op", seconds(1)).unwrap();
}

#[test]
fn one_grant_that_fails_again_and_again_keeps_no_other_waiting() {
    let circuits = Circuits::default();
    for second in 0..100 {
        assert!(!fail(&circuits, 7..8, seconds(second)));
    }
    let _ = circuits.pass("op", seconds(100)).unwrap();
}

#[test]
fn any_answer_begins_the_count_anew() {
    let circuits = Circuits::default();
    fail(&circuits, 0..4, seconds(0));
    let pass = circuits.pass("op", seconds(0)).unwrap();
    assert!(!pass.said(Sign::Up, 4, seconds(0), 0));
    assert!(!fail(&circuits, 0..4, seconds(0)));
    // What was not asked says nothing.
    let pass = circuits.pass("op", seconds(0)).unwrap();
    assert!(!pass.said(Sign::Unknown, 9, seconds(0), 0));
    assert!(fail(&circuits, 4..5, seconds(0)));
}

#[test]
fn one_probe_at_a_time_doubles_the_pause_or_ends_it() {
    let circuits = Circuits::default();
    fail(&circuits, 0..5, seconds(0));
    let mut now = seconds(5);
    for pause in [10, 20, 40, 60, 60] {
        let probe = circuits.pass("op", now).unwrap();
        assert_eq!(circuits.pass("op", now).unwrap_err(), PROBING);
        assert!(!probe.said(AWAY, 0, now, 0), "it is no news");
        drop(probe);
        assert_eq!(circuits.pass("op", now).unwrap_err(), seconds(pause));
        now += seconds(pause);
    }
    // One that never asked makes room for the next.
    drop(circuits.pass("op", now).unwrap());
    let probe = circuits.pass("op", now).unwrap();
    assert!(!probe.said(Sign::Up, 1, now, 0));
    drop(probe);
    let passes = [(); 3].map(|()| circuits.pass("op", now).unwrap());
    drop(passes);
}

#[test]
fn what_was_asked_before_it_opened_makes_no_pause_longer() {
    let circuits = Circuits::default();
    let early = [(); 10].map(|()| circuits.pass("op", seconds(0)).unwrap());
    for (grant, pass) in (0..).zip(&early) {
        assert_eq!(pass.said(AWAY, grant, seconds(0), 0), grant == 4);
    }
    assert_eq!(circuits.pass("op", seconds(0)).unwrap_err(), FIRST);
    // An answer that comes late ends it.
    early[0].said(Sign::Up, 0, seconds(1), 0);
    let _ = circuits.pass("op", seconds(1)).unwrap();
}

#[test]
fn the_provider_says_how_long_within_bounds() {
    for (asked, waits) in [(30, 30), (1, 5), (3600, 300)] {
        let circuits = Circuits::default();
        let sign = Sign::Away {
            retry_after: Some(seconds(asked)),
            certain: true,
        };
        let pass = circuits.pass("op", seconds(0)).unwrap();
        assert!(pass.said(sign, 1, seconds(0), 0));
        let wait = circuits.pass("op", seconds(0)).unwrap_err();
        assert_eq!(wait, seconds(waits));
    }
}

#[test]
fn a_fleet_does_not_come_back_at_once() {
    let circuits = Circuits::default();
    fail(&circuits, 0..4, seconds(0));
    let pass = circuits.pass("op", seconds(0)).unwrap();
    pass.said(AWAY, 4, seconds(0), 255);
    let wait = circuits.pass("op", seconds(0)).unwrap_err();
    assert_eq!(wait, Duration::from_millis(6250));
}

#[test]
fn what_says_that_a_provider_is_away() {
    let unavailable = Error::new(ErrorCode::ProviderUnavailable, Phase::Refresh, "");
    let hook = Error::new(ErrorCode::OwnerRefused, Phase::Refresh, "");
    let wait = Some(seconds(7));
    let away = |retry_after, certain| Sign::Away {
        retry_after,
        certain,
    };
    for (verdict, error, sign) in [
        (Verdict::NotSent, &unavailable, AWAY),
        (Verdict::NotSent, &hook, Sign::Unknown),
        (Verdict::Ambiguous, &unavailable, AWAY),
        (Verdict::InvalidGrant, &hook, Sign::Up),
        (Verdict::Refused, &hook, Sign::Up),
        (
            Verdict::Throttled { retry_after: wait },
            &hook,
            away(wait, false),
        ),
        (
            Verdict::Unavailable { retry_after: wait },
            &hook,
            away(wait, true),
        ),
        (Verdict::Unavailable { retry_after: None }, &hook, AWAY),
    ] {
        assert_eq!(Sign::of(verdict, error), sign, "{verdict:?}");
    }
}
