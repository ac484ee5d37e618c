//! The judge of the storm is judged: right journals pass, and one record that is wrong is found, whatever is wrong with it.

mod history;

use midplane_storm::check::{Kind, Report, check};
use midplane_storm::record::{Ending, Exchange, Outcome, Record, Swap, Track, Way};

fn swap(call: u32, revision: u32, begin: u64, end: u64) -> Swap {
    Swap {
        call,
        track: Track::P2,
        revision,
        bad: false,
        begin,
        end,
        outcome: Outcome::Published,
        prepare: 0,
        publish: 0,
        sync: 0,
    }
}

fn exchange(request: u32, revision: u32, begin: u64, head: u64) -> Exchange {
    Exchange {
        request,
        way: Way::KeepAlive,
        track: Track::P2,
        scheduled: begin,
        begin,
        head,
        end: head + 5,
        ending: Ending::Whole {
            revision,
            also: revision,
        },
    }
}

/// Revision 1 from the beginning, 2 in 100–110, 1 again in 200–210; 3 is refused in 300–310. Requests 0 to 3.
fn swaps() -> Vec<Swap> {
    let refused = Swap {
        bad: true,
        outcome: Outcome::Refused,
        ..swap(3, 3, 300, 310)
    };
    vec![
        swap(0, 1, 0, 0),
        swap(1, 2, 100, 110),
        swap(2, 1, 200, 210),
        refused,
    ]
}

fn exchanges() -> Vec<Exchange> {
    vec![
        exchange(0, 1, 10, 20),
        exchange(1, 2, 150, 160),
        exchange(2, 1, 250, 260),
        exchange(3, 1, 305, 320),
    ]
}

fn judge(swaps: Vec<Swap>, exchanges: Vec<Exchange>, sent: u32) -> Report {
    let records = swaps.into_iter().map(Record::Swap);
    let records = records.chain(exchanges.into_iter().map(Record::Exchange));
    check(&records.chain([Record::Sent(sent)]).collect::<Vec<_>>())
}

/// Judges with request 1 changed.
fn with(change: impl Fn(&mut Exchange)) -> Report {
    let mut exchanges = exchanges();
    change(&mut exchanges[1]);
    judge(swaps(), exchanges, 4)
}

fn answer(revision: u32) -> Ending {
    Ending::Whole {
        revision,
        also: revision,
    }
}

#[track_caller]
fn assert_only(report: &Report, kind: Kind, count: u64) {
    assert_eq!(
        report.counts.iter().collect::<Vec<_>>(),
        [(&kind, &count)],
        "{report}"
    );
    assert!(!report.is_clean());
}

#[test]
fn a_right_journal_passes() {
    let report = judge(swaps(), exchanges(), 4);
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.sent, report.whole), (4, 4));
    assert_eq!((report.published, report.refused), (2, 1));
}

#[test]
fn either_revision_may_answer_during_a_swap_and_neither_before_or_after() {
    for (begin, head, revision, allowed) in [
        (90, 99, 1, true),
        (90, 99, 2, false),
        // The request may have entered after the swap.
        (90, 100, 2, true),
        (105, 106, 1, true),
        (105, 106, 2, true),
        (110, 120, 1, true),
        (111, 120, 1, false),
        (111, 120, 2, true),
        // Revision 1 comes back.
        (150, 200, 1, true),
        (150, 199, 1, false),
        (210, 250, 2, true),
        (211, 250, 2, false),
    ] {
        let report = with(|exchange| {
            *exchange = Exchange {
                end: 1_000,
                ..self::exchange(1, revision, begin, head)
            };
        });
        assert_eq!(report.is_clean(), allowed, "{begin}–{head}, {revision}: {report}");
    }
}

#[test]
fn an_answer_of_a_retired_revision_is_found() {
    assert_only(&with(|exchange| exchange.ending = answer(1)), Kind::Stale, 1);
}

#[test]
fn an_answer_of_a_revision_to_come_is_found() {
    let mut exchanges = exchanges();
    exchanges[0].ending = answer(2);
    assert_only(&judge(swaps(), exchanges, 4), Kind::Early, 1);
}

#[test]
fn an_answer_of_a_revision_that_was_refused_is_found() {
    let mut exchanges = exchanges();
    exchanges[3].ending = answer(3);
    assert_only(&judge(swaps(), exchanges, 4), Kind::Unpublished, 1);
}

#[test]
fn an_answer_of_two_sets_is_found() {
    let mixed = Ending::Whole { revision: 2, also: 1 };
    assert_only(&with(|exchange| exchange.ending = mixed), Kind::Mixed, 1);
}

#[test]
fn other_states_half_answers_and_resets_are_found() {
    for ending in [Ending::Status(503), Ending::Broken, Ending::Lost] {
        assert_only(&with(|exchange| exchange.ending = ending), Kind::Failed, 1);
    }
}

#[test]
fn a_request_without_an_answer_is_found() {
    let mut exchanges = exchanges();
    exchanges.remove(1);
    assert_only(&judge(swaps(), exchanges.clone(), 4), Kind::Missing, 1);
    exchanges.clear();
    assert_only(&judge(swaps(), exchanges, 70), Kind::Missing, 70);
}

#[test]
fn a_second_answer_and_one_that_nobody_asked_for_are_found() {
    let mut twice = exchanges();
    twice.push(twice[1]);
    assert_only(&judge(swaps(), twice, 4), Kind::Duplicate, 1);
    assert_only(&judge(swaps(), exchanges(), 3), Kind::Duplicate, 1);
}

#[test]
fn a_bad_component_that_was_published_and_a_good_one_that_was_refused_are_found() {
    for (bad, outcome) in [
        (true, Outcome::Published),
        (true, Outcome::RefusedOtherwise),
        (true, Outcome::Unknown),
        (false, Outcome::Refused),
        (false, Outcome::RefusedOtherwise),
        (false, Outcome::Unknown),
    ] {
        let mut swaps = swaps();
        swaps[3] = Swap {
            bad,
            outcome,
            // So that request 3 may be answered by whoever is current then.
            begin: 330,
            end: 340,
            ..swaps[3]
        };
        assert_only(&judge(swaps, exchanges(), 4), Kind::Swapped, 1);
    }
}

#[test]
fn after_a_change_of_unknown_outcome_both_revisions_may_answer() {
    let mut swaps = swaps();
    swaps[1].outcome = Outcome::Unknown;
    for revision in [1, 2] {
        let mut exchanges = exchanges();
        exchanges[1].ending = answer(revision);
        assert_only(&judge(swaps.clone(), exchanges, 4), Kind::Swapped, 1);
    }
    // The next one that is published replaces both.
    let mut exchanges = exchanges();
    exchanges[2].ending = answer(2);
    let report = judge(swaps, exchanges, 4);
    assert_eq!(report.count(Kind::Stale), 1, "{report}");
}

#[test]
fn changes_at_the_same_time_are_found() {
    let mut swaps = swaps();
    swaps[2].begin = 105;
    let report = judge(swaps, exchanges(), 4);
    assert_eq!(report.count(Kind::Overlap), 1, "{report}");
}

#[test]
fn tracks_do_not_answer_for_each_other() {
    assert_only(&with(|exchange| exchange.track = Track::P3), Kind::Unpublished, 1);
}
