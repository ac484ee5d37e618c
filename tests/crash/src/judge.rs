//! Holds what is there against what was written down.
//!
//! A key is a register: it must have the value of the last write that was acknowledged, or of one that was sent after it. The
//! log of a database must have every row that was acknowledged and none that was never sent. What a transaction wrote in both
//! is there in both or in neither. Once something was seen after a crash it stays: what was not there does not come later.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;

use crate::record::{Content, Effect, Record};

/// How many values of before are known of a register, so that an old one is called lost and not wrong.
const KNOWN: usize = 64;

/// What somebody saw of a store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// The value of each key.
    pub values: BTreeMap<String, Content>,
    /// The rows of the log by their ids, if the store has one: the key that it is for, the counter and the content.
    pub rows: Option<BTreeMap<u64, (String, u64, Content)>>,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// What was acknowledged, or seen before, is not there any more.
    Lost,
    /// What is there was never sent.
    Unsent,
    /// Half of a transaction is there.
    Torn,
}

/// A fault and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What is wrong.
    pub fault: Fault,
    /// In which store.
    pub store: String,
    /// For which key.
    pub key: String,
    /// In words.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}: {} of {}: {}",
            self.fault, self.key, self.store, self.text
        )
    }
}

/// How many writes there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Sent.
    pub sent: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Answered, with something else.
    pub refused: u64,
}

/// Knows what must be there.
#[derive(Debug, Default)]
pub struct Judge {
    stores: BTreeMap<String, Known>,
    /// Writes that are neither acknowledged nor refused.
    open: HashMap<u64, (String, String)>,
    counts: BTreeMap<(String, String), Count>,
}

#[derive(Debug, Default)]
struct Known {
    registers: BTreeMap<String, Register>,
    rows: BTreeMap<u64, Row>,
}

#[derive(Debug, Default)]
struct Register {
    /// The value that it had at least when somebody looked last.
    base: Option<Content>,
    /// What was sent since, oldest first.
    since: Vec<Write>,
    /// Values of before.
    past: VecDeque<Content>,
}

#[derive(Debug, Clone)]
struct Write {
    id: u64,
    value: Option<Content>,
    acknowledged: bool,
    /// It has a row as well.
    is_both: bool,
}

#[derive(Debug)]
struct Row {
    key: String,
    counter: u64,
    content: Content,
    acknowledged: bool,
}

impl Register {
    /// The values that it may have, the newest last, each with the write that made it.
    fn allowed(&self) -> Vec<(Option<Content>, Option<&Write>)> {
        match self.since.iter().rposition(|write| write.acknowledged) {
            Some(last) => self.since[last..]
                .iter()
                .map(|write| (write.value, Some(write)))
                .collect(),
            None => {
                let base = std::iter::once((self.base, None));
                base.chain(self.since.iter().map(|write| (write.value, Some(write))))
                    .collect()
            }
        }
    }

    /// Whether it once had this value, and must have another.
    fn had(&self, value: Content) -> bool {
        let earlier = self.since.iter().any(|write| write.value == Some(value));
        earlier || self.base == Some(value) || self.past.contains(&value)
    }

    fn settle(&mut self, seen: Option<Content>) {
        let before = self.base.into_iter();
        self.past
            .extend(before.chain(self.since.drain(..).filter_map(|write| write.value)));
        self.past.drain(..self.past.len().saturating_sub(KNOWN));
        self.base = seen;
    }
}

impl Judge {
    /// Takes note of a record.
    pub fn note(&mut self, record: Record) {
        match record {
            Record::Sent {
                id,
                store,
                key,
                counter,
                effect,
            } => self.sent(id, store, key, counter, effect),
            Record::Acknowledged(id) => self.acknowledged(id),
            Record::Refused(id) => {
                if let Some(open) = self.open.remove(&id) {
                    self.counts.entry(open).or_default().refused += 1;
                }
            }
            Record::Pruned { store, below } => {
                let known = self.stores.entry(store).or_default();
                known.rows = known.rows.split_off(&below);
            }
        }
    }

    fn sent(&mut self, id: u64, store: String, key: String, counter: u64, effect: Effect) {
        let known = self.stores.entry(store.clone()).or_default();
        let (value, row) = match effect {
            Effect::Set(content) => (Some(Some(content)), None),
            Effect::Delete => (Some(None), None),
            Effect::Append(content) => (None, Some(content)),
            Effect::Both(content) => (Some(Some(content)), Some(content)),
        };
        if let Some(value) = value {
            let register = known.registers.entry(key.clone()).or_default();
            register.since.push(Write {
                id,
                value,
                acknowledged: false,
                is_both: row.is_some(),
            });
        }
        if let Some(content) = row {
            known.rows.insert(
                id,
                Row {
                    key: key.clone(),
                    counter,
                    content,
                    acknowledged: false,
                },
            );
        }
        let place = (store, key);
        self.counts.entry(place.clone()).or_default().sent += 1;
        self.open.insert(id, place);
    }

    fn acknowledged(&mut self, id: u64) {
        let Some((store, key)) = self.open.remove(&id) else {
            return;
        };
        let known = self.stores.entry(store.clone()).or_default();
        let register = known.registers.get_mut(&key);
        let write = register.and_then(|register| register.since.iter_mut().find(|write| write.id == id));
        if let Some(write) = write {
            write.acknowledged = true;
        }
        if let Some(row) = known.rows.get_mut(&id) {
            row.acknowledged = true;
        }
        self.counts.entry((store, key)).or_default().acknowledged += 1;
    }

    /// Whether what somebody saw of a store is what must be there.
    pub fn check(&self, store: &str, seen: &Seen) -> Vec<Violation> {
        let nothing = Known::default();
        let known = self.stores.get(store).unwrap_or(&nothing);
        let mut violations = Vec::new();
        let mut tell = |fault, key: &str, text: String| {
            violations.push(Violation {
                fault,
                store: store.to_owned(),
                key: key.to_owned(),
                text,
            });
        };
        let keys: BTreeSet<_> = known.registers.keys().chain(seen.values.keys()).collect();
        for key in keys {
            let value = seen.values.get(key).copied();
            let Some(register) = known.registers.get(key) else {
                tell(Fault::Unsent, key, "nobody ever wrote this key".to_owned());
                continue;
            };
            let allowed = register.allowed();
            let matching = allowed.iter().rev().find(|(may, _)| *may == value);
            match (matching, value) {
                (Some(_), _) => {}
                (None, None) => tell(Fault::Lost, key, "it has no value any more".to_owned()),
                (None, Some(value)) if register.had(value) => {
                    tell(Fault::Lost, key, "it has a value of before".to_owned());
                }
                (None, Some(value)) => {
                    tell(Fault::Unsent, key, format!("nobody wrote what it has: {value:?}"));
                }
            }
            // The last of the writes that made this value, and those before it, have their rows; those after it have not.
            let (Some(rows), Some((_, made))) = (&seen.rows, matching) else {
                continue;
            };
            if let Some(write) = made
                && write.is_both
                && !rows.contains_key(&write.id)
            {
                tell(
                    Fault::Torn,
                    key,
                    format!("the row {} of its value is missing", write.id),
                );
            }
            let done = made.map_or(0, |write| write.id);
            let later = register.since.iter().filter(|write| write.id > done);
            for write in later.filter(|write| write.is_both && rows.contains_key(&write.id)) {
                tell(
                    Fault::Torn,
                    key,
                    format!("the row {} is there, its value is not", write.id),
                );
            }
        }
        if let Some(rows) = &seen.rows {
            for (id, row) in known.rows.iter().filter(|(_, row)| row.acknowledged) {
                if !rows.contains_key(id) {
                    tell(Fault::Lost, &row.key, format!("the row {id} is missing"));
                }
            }
            for (id, (key, counter, content)) in rows {
                let is_sent = known
                    .rows
                    .get(id)
                    .is_some_and(|row| row.key == *key && row.counter == *counter && row.content == *content);
                if !is_sent {
                    tell(Fault::Unsent, key, format!("nobody wrote the row {id} as it is"));
                }
            }
        }
        violations
    }

    /// From here on what was seen of a store is what must be there. For a time when nothing is under way.
    pub fn settle(&mut self, store: &str, seen: &Seen) {
        let known = self.stores.entry(store.to_owned()).or_default();
        for (key, register) in &mut known.registers {
            register.settle(seen.values.get(key).copied());
        }
        if let Some(rows) = &seen.rows {
            known.rows.retain(|id, row| {
                row.acknowledged = true;
                rows.contains_key(id)
            });
        }
        self.open.retain(|_, (of, _)| of != store);
    }

    /// How many writes there were, for each store and key.
    pub fn counts(&self) -> impl Iterator<Item = (&str, &str, Count)> {
        let counts = self.counts.iter();
        counts.map(|((store, key), count)| (store.as_str(), key.as_str(), *count))
    }
}
