//! Any sequence of calls has the effect that it has on a few plain collections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::{SqliteJournal, entry, published};
use crate::model::ServiceName;
use crate::service::journal::{Drained, Entry, Journal as _, Past, Published, Recorded};

const SERVICES: [&str; 3] = ["a", "b", "c"];
const REVISIONS: [&str; 4] = ["r1", "r2", "r3", "r4"];

/// For each service: no revision, or one of those above.
type Choice = [Option<usize>; 3];

#[derive(Debug, Clone)]
enum Call {
    Publish { current: Choice, candidates: Choice },
    Note { of: Vec<usize> },
    Drained { back: u64 },
    Prune { revisions: usize, entries: usize },
    Reopen,
}

fn call() -> impl Strategy<Value = Call> {
    let choice = || prop::array::uniform3(prop::option::of(0..REVISIONS.len()));
    prop_oneof![
        5 => (choice(), choice()).prop_map(|(current, candidates)| Call::Publish { current, candidates }),
        2 => prop::sample::subsequence(vec![0, 1, 2], 0..=3).prop_map(|of| Call::Note { of }),
        2 => (0..4_u64).prop_map(|back| Call::Drained { back }),
        1 => (0..4_usize, 0..8_usize).prop_map(|(revisions, entries)| Call::Prune { revisions, entries }),
        1 => Just(Call::Reopen),
    ]
}

type Key = (ServiceName, Recorded);

/// The journal, as one would write it if there were no crashes.
#[derive(Default)]
struct Model {
    last: u64,
    published: Option<Published>,
    entries: Vec<Entry>,
    /// Service, revision, and by which entry at what time it was published last.
    past: Vec<(u64, Past)>,
}

fn current(published: Option<&Published>) -> Vec<Key> {
    published
        .map(|published| published.services.clone())
        .into_iter()
        .flatten()
        .collect()
}

fn candidates(published: Option<&Published>) -> Vec<Key> {
    let canaries = published.map(|published| published.canaries.clone());
    let canaries = canaries.into_iter().flatten();
    canaries.flat_map(|canary| canary.services).collect()
}

impl Model {
    fn note(&mut self, entry: &Entry) -> u64 {
        self.last += 1;
        let mut entry = entry.clone();
        entry.number = self.last;
        self.entries.insert(0, entry);
        self.last
    }

    fn publish(&mut self, published: &Published, entry: &Entry) -> u64 {
        let number = self.note(entry);
        let before = self.published.replace(published.clone());
        let was_current = current(before.as_ref());
        let was_there: Vec<Key> = [was_current.clone(), candidates(before.as_ref())].concat();
        let anew = current(Some(published))
            .into_iter()
            .filter(|key| !was_current.contains(key))
            .chain(
                candidates(Some(published))
                    .into_iter()
                    .filter(|key| !was_there.contains(key)),
            );
        for (service, recorded) in anew {
            self.past
                .retain(|(_, past)| (&past.service, &past.recorded) != (&service, &recorded));
            let past = Past {
                service,
                recorded,
                published: entry.at,
            };
            self.past.push((number, past));
        }
        number
    }

    fn past(&self) -> Vec<Past> {
        let mut past = self.past.clone();
        past.sort_by_key(|(number, past)| (u64::MAX - number, past.service.clone(), past.recorded.revision));
        past.into_iter().map(|(_, past)| past).collect()
    }

    fn prune(&mut self, revisions: usize, entries: usize) {
        self.entries.truncate(entries);
        let now: Vec<Key> = [
            current(self.published.as_ref()),
            candidates(self.published.as_ref()),
        ]
        .concat();
        let mut places: BTreeMap<ServiceName, usize> = BTreeMap::new();
        let mut kept = BTreeSet::new();
        for past in self.past() {
            let place = places.entry(past.service.clone()).or_default();
            *place += 1;
            if *place <= revisions || now.contains(&(past.service.clone(), past.recorded.clone())) {
                kept.insert((past.service, past.recorded.revision));
            }
        }
        self.past
            .retain(|(_, past)| kept.contains(&(past.service.clone(), past.recorded.revision)));
    }
}

fn chosen(choice: &Choice) -> Vec<(&'static str, &'static str)> {
    let services = SERVICES.iter().zip(choice);
    services
        .filter_map(|(service, revision)| Some((*service, REVISIONS[(*revision)?])))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_calls_have_the_effect_that_they_have_on_a_model(calls in prop::collection::vec(call(), 1..24)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let open = || {
            let journal = SqliteJournal::open(&path).unwrap();
            // What a machine that fails would lose is no matter here.
            journal.connection.lock().pragma_update(None, "synchronous", "off").unwrap();
            journal
        };
        let mut journal = open();
        let mut model = Model::default();
        for (step, call) in calls.iter().enumerate() {
            let step = step as u64;
            match call {
                Call::Publish { current, candidates } => {
                    let (current, candidates) = (chosen(current), chosen(candidates));
                    let state = published(step, &current, &candidates);
                    let services: Vec<&str> = current.iter().map(|(service, _)| *service).collect();
                    // The clock goes backwards now and then.
                    let entry = entry(1_000 + step * 7 % 5, &services);
                    let number = model.publish(&state, &entry);
                    prop_assert_eq!(journal.publish(&state, &entry).unwrap(), number);
                }
                Call::Note { of } => {
                    let services: Vec<&str> = of.iter().map(|service| SERVICES[*service]).collect();
                    let entry = entry(step, &services);
                    let number = model.note(&entry);
                    prop_assert_eq!(journal.note(&entry).unwrap(), number);
                }
                Call::Drained { back } => {
                    let number = model.last.saturating_sub(*back);
                    let drained = Drained { publish: Duration::ZERO, took: Duration::from_micros(step), interrupted: step };
                    journal.drained(number, drained).unwrap();
                    let entry = model.entries.iter_mut().find(|entry| entry.number == number);
                    if let Some(entry) = entry {
                        entry.drain = Some(drained);
                    }
                }
                Call::Prune { revisions, entries } => {
                    journal.prune(*revisions, *entries).unwrap();
                    model.prune(*revisions, *entries);
                }
                Call::Reopen => {
                    drop(journal);
                    journal = open();
                }
            }
            prop_assert_eq!(journal.published().unwrap(), model.published.clone());
            prop_assert_eq!(journal.entries(None, None, 100).unwrap(), model.entries.clone());
            prop_assert_eq!(journal.past(None).unwrap(), model.past());
        }
        for name in SERVICES {
            let service = ServiceName::parse(name).unwrap();
            let of_it = |entry: &&Entry| entry.changes.iter().any(|change| change.service == service);
            let before = model.last / 2 + 1;
            let expected: Vec<Entry> = model.entries.iter().filter(of_it).cloned().collect();
            let older: Vec<Entry> =
                expected.iter().filter(|entry| entry.number < before).take(2).cloned().collect();
            prop_assert_eq!(journal.entries(Some(&service), None, 100).unwrap(), expected);
            prop_assert_eq!(journal.entries(Some(&service), Some(before), 2).unwrap(), older);
            let mut past = model.past();
            past.retain(|past| past.service == service);
            prop_assert_eq!(journal.past(Some(&service)).unwrap(), past);
        }
    }
}
