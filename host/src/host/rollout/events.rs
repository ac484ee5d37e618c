//! What rollouts tell while they go on: the last of it, and whoever listens.
//!
//! What bounds it: [`MAX_PAST`] events are remembered, and a listener that is as many behind loses the oldest.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use tokio::sync::broadcast;

use crate::admin::api;
use crate::admin::control::Feed;
use crate::model::ServiceName;
use crate::telemetry;

/// Events that are remembered.
const MAX_PAST: usize = 1_024;
/// The longest text of an event, in bytes.
const MAX_DETAIL_BYTES: usize = 4 * 1024;

#[derive(Clone)]
pub(in crate::host) struct Events {
    told: Arc<Mutex<Told>>,
}

struct Told {
    past: VecDeque<api::Event>,
    last: u64,
    sender: broadcast::Sender<api::Event>,
}

/// What an event is about.
#[derive(Debug, Clone, Default)]
pub(in crate::host) struct About {
    pub(in crate::host) rollout: Option<u64>,
    pub(in crate::host) service: Option<String>,
    pub(in crate::host) revision: Option<String>,
    pub(in crate::host) entry: Option<u64>,
    pub(in crate::host) detail: String,
    pub(in crate::host) interrupted: Option<u64>,
}

impl About {
    /// A revision of a service, in a rollout that entry `entry` tells of.
    pub(super) fn revision(service: &ServiceName, revision: &str, rollout: u64, entry: u64) -> Self {
        Self {
            rollout: Some(rollout),
            service: Some(service.to_string()),
            revision: Some(revision.to_owned()),
            entry: Some(entry),
            ..Self::default()
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        let told = Told {
            past: VecDeque::new(),
            last: 0,
            sender: broadcast::Sender::new(MAX_PAST),
        };
        Self {
            told: Arc::new(Mutex::new(told)),
        }
    }
}

impl Events {
    pub(in crate::host) fn tell(&self, event: &str, about: About) {
        let mut told = self.told.lock();
        told.last += 1;
        let event = api::Event {
            id: told.last,
            at: telemetry::timestamp(SystemTime::now()),
            rollout: about.rollout,
            service: about.service,
            event: event.to_owned(),
            revision: about.revision,
            entry: about.entry,
            detail: cut(about.detail),
            interrupted: about.interrupted,
        };
        if told.past.len() == MAX_PAST {
            told.past.pop_front();
        }
        told.past.push_back(event.clone());
        // Nobody may be listening.
        let _listeners = told.sender.send(event);
    }

    /// From the event after `after` on, or only those to come.
    pub(in crate::host) fn feed(&self, after: Option<u64>) -> Feed<api::Event> {
        let told = self.told.lock();
        let past = match after {
            None => Vec::new(),
            // A number of another start of the host: its listener has missed everything.
            Some(after) if after > told.last => told.past.iter().cloned().collect(),
            Some(after) => told
                .past
                .iter()
                .filter(|event| event.id > after)
                .cloned()
                .collect(),
        };
        Feed {
            past,
            next: Some(told.sender.subscribe()),
        }
    }
}

/// The beginning of a text that is too long.
fn cut(mut text: String) -> String {
    if text.len() > MAX_DETAIL_BYTES {
        text.truncate(text.floor_char_boundary(MAX_DETAIL_BYTES));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_goes_on_where_the_past_ends() {
        let events = Events::default();
        for _ in 0..MAX_PAST + 2 {
            events.tell("published", About::default());
        }
        let Feed { past, next } = events.feed(Some(0));
        assert_eq!(past.len(), MAX_PAST);
        assert_eq!(
            past.first().map(|event| event.id),
            Some(3),
            "the oldest are forgotten"
        );
        events.tell("retired", About::default());
        let mut next = next.unwrap();
        assert_eq!(next.try_recv().unwrap().id, MAX_PAST as u64 + 3);
        assert!(events.feed(None).past.is_empty());
        assert_eq!(events.feed(Some(MAX_PAST as u64 + 2)).past.len(), 1);
    }
}
