//! The parts of `fault-storm` on their own: what is asked of each fault, and that a log, figures and components are read and made
//! as they should be.

use midplane_fault::fault::{self, Fault, Must};
use midplane_fault::metrics::Samples;
use midplane_fault::{log, made};

#[test]
fn every_fault_has_a_name_of_its_own_and_asks_for_something_to_be_seen_logged_and_counted() {
    for (at, fault) in fault::ALL.iter().enumerate() {
        let others = &fault::ALL[..at];
        assert!(
            !others.iter().any(|other| other.name == fault.name),
            "{}",
            fault.name
        );
        assert_eq!(fault.weaknesses(), Vec::<String>::new(), "{}", fault.name);
        assert!(Fault::named(fault.name).is_some());
    }
}

#[test]
fn what_must_be_seen_is_all_of_it_or_any() {
    let some = |must| Fault {
        must,
        seen: &["first", "second", "third"],
        ..fault::ALL[0]
    };
    let missing = |must, seen: &[&str]| some(must).missing(|what| seen.contains(&what));
    assert_eq!(missing(Must::All(2), &["second", "third"]), ["first"]);
    assert!(missing(Must::All(2), &["second", "first"]).is_empty());
    assert_eq!(missing(Must::Any(2), &["third"]), ["first", "second"]);
    assert!(missing(Must::Any(2), &["second"]).is_empty());
    for weak in [Must::All(0), Must::Any(0), Must::Any(1), Must::All(4)] {
        assert!(!some(weak).weaknesses().is_empty(), "{weak:?}");
    }
    assert!(some(Must::Any(3)).weaknesses().is_empty());
    let uncounted = Fault {
        metrics: &[],
        ..fault::ALL[0]
    };
    assert!(!uncounted.weaknesses().is_empty());
}

#[test]
fn failures_are_counted_by_kind_and_each_is_to_be_told_once() {
    let failure = |kind: &str, id: &str| {
        format!(r#"{{"target":"midplane::failure","kind":"{kind}","service":"a","request_id":"{id}"}}"#)
    };
    let lines = [
        failure("trap", "1"),
        failure("trap", "2"),
        failure("memory", "2"),
        r#"{"target":"midplane::guest","message":"thread panicked"}"#.to_owned(),
        "thread 'worker' panicked at src/x.rs:1:2:".to_owned(),
    ];
    let log = log::of(lines.join("\n").as_bytes(), &["nobody said", "thread panicked"]);
    let log = log.expect("it is in memory");
    assert_eq!(
        log.failures,
        [("memory".to_owned(), 1), ("trap".to_owned(), 2)].into()
    );
    assert_eq!((log.repeated, log.strange.len(), log.said), (1, 1, 1));
}

#[test]
fn samples_are_found_by_name_and_labels_and_added_up() {
    let samples = Samples::parse(
        "# TYPE midplane_errors counter\n\
         midplane_errors_total{service=\"a\",reason=\"trap\"} 2\n\
         midplane_errors_total{service=\"b\",reason=\"trap\"} 3\n\
         midplane_errors_total_more 7\n\
         midplane_connections 4\n# EOF\n",
    );
    assert_eq!(samples.sum("midplane_errors_total", &["reason=\"trap\""]), 5.0);
    assert_eq!(samples.sum("midplane_errors_total", &["service=\"b\""]), 3.0);
    assert_eq!(samples.sum("midplane_connections", &[]), 4.0);
    assert_eq!(samples.sum("midplane_nothing", &[]), 0.0);
}

#[test]
fn what_is_made_is_a_component_of_its_size() {
    for made in [made::tables(), made::memories()] {
        assert!(made.expect("a component").starts_with(b"\0asm\x0d\0\x01\0"));
    }
    assert_eq!(made::large().expect("a component").len(), 100_000_000);
    assert_eq!(made::too_large().expect("bytes").len(), 100 * 1024 * 1024 + 1);
}
