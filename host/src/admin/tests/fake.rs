//! A host that does nothing but remember what it was asked for.

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, broadcast};

use std::sync::Arc;

use super::super::api;
use super::super::control::{Control, Feed, Refusal, RefusalKind};
use super::examples;
use crate::model::ServiceName;

/// How many events and lines wait for a slow reader.
pub(super) const QUEUE: usize = 4;

pub(super) struct Fake {
    calls: Mutex<Vec<(&'static str, Value)>>,
    refusal: Mutex<Option<Refusal>>,
    /// Changes and uploads wait here.
    pub(super) gate: Arc<Semaphore>,
    pub(super) past: Mutex<Vec<api::Event>>,
    pub(super) events: broadcast::Sender<api::Event>,
    pub(super) lines_past: Mutex<Vec<api::LogLine>>,
    pub(super) lines: broadcast::Sender<api::LogLine>,
}

impl Fake {
    pub(super) fn new() -> Self {
        Self {
            calls: Mutex::default(),
            refusal: Mutex::default(),
            gate: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            past: Mutex::default(),
            events: broadcast::channel(QUEUE).0,
            lines_past: Mutex::default(),
            lines: broadcast::channel(QUEUE).0,
        }
    }

    /// From now on everything is refused so.
    pub(super) fn refuse(&self, refusal: Refusal) {
        *self.refusal.lock() = Some(refusal);
    }

    /// What it was asked for since the last time.
    pub(super) fn calls(&self) -> Vec<(&'static str, Value)> {
        std::mem::take(&mut self.calls.lock())
    }

    fn note(&self, name: &'static str, what: Value) -> Result<(), Refusal> {
        self.calls.lock().push((name, what));
        match &*self.refusal.lock() {
            None => Ok(()),
            Some(refusal) => Err(refusal.clone()),
        }
    }

    fn answer<T: Send + 'static>(
        &self,
        name: &'static str,
        what: Value,
        answer: T,
    ) -> BoxFuture<'static, Result<T, Refusal>> {
        let noted = self.note(name, what);
        let gate = self.gate.clone();
        async move {
            let _passed = gate.acquire().await;
            noted.map(|()| answer)
        }
        .boxed()
    }
}

fn value(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

impl Control for Fake {
    fn app(&self) -> String {
        "shop".to_owned()
    }

    fn status(&self) -> BoxFuture<'static, Result<api::App, Refusal>> {
        self.answer("status", Value::Null, examples::app())
    }

    fn routes(&self) -> api::Routes {
        let _ = self.note("routes", Value::Null);
        examples::routes()
    }

    fn links(&self) -> api::Links {
        let _ = self.note("links", Value::Null);
        examples::links()
    }

    fn history(
        &self,
        service: Option<ServiceName>,
        before: Option<u64>,
        limit: usize,
    ) -> BoxFuture<'static, Result<api::History, Refusal>> {
        let service = service.map(|service| service.to_string());
        self.answer("history", json!([service, before, limit]), examples::history())
    }

    fn revisions(&self, service: ServiceName) -> BoxFuture<'static, Result<api::Revisions, Refusal>> {
        self.answer("revisions", json!([service.as_str()]), examples::revisions())
    }

    fn store(&self, component: Bytes) -> BoxFuture<'static, Result<api::Stored, Refusal>> {
        self.answer("store", json!([component.len()]), examples::stored())
    }

    fn deploy(&self, deploy: api::Deploy, by: String) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        self.answer("deploy", json!([value(&deploy), by]), examples::outcome())
    }

    fn apply(&self, apply: api::Apply, by: String) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        self.answer("apply", json!([value(&apply), by]), examples::outcome())
    }

    fn promote(
        &self,
        service: ServiceName,
        promote: api::Promote,
        by: String,
    ) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        let what = json!([service.as_str(), value(&promote), by]);
        self.answer("promote", what, examples::outcome())
    }

    fn abort(&self, service: ServiceName, by: String) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        self.answer("abort", json!([service.as_str(), by]), examples::outcome())
    }

    fn rollback(
        &self,
        service: ServiceName,
        rollback: api::Rollback,
        by: String,
    ) -> BoxFuture<'static, Result<api::Outcome, Refusal>> {
        let what = json!([service.as_str(), value(&rollback), by]);
        self.answer("rollback", what, examples::outcome())
    }

    fn drain(&self, service: ServiceName) -> BoxFuture<'static, Result<api::DrainedNow, Refusal>> {
        let drained = api::DrainedNow { interrupted: 3 };
        self.answer("drain", json!([service.as_str()]), drained)
    }

    fn events(&self, after: Option<u64>) -> Feed<api::Event> {
        let _ = self.note("events", json!([after]));
        let mut past = self.past.lock().clone();
        past.retain(|event| after.is_some_and(|after| event.id > after));
        Feed {
            past,
            next: Some(self.events.subscribe()),
        }
    }

    fn logs(&self, service: &ServiceName, follow: bool) -> Result<Feed<api::LogLine>, Refusal> {
        self.note("logs", json!([service.as_str(), follow]))?;
        if service.as_str() != "catalog" {
            return Err(Refusal::new(RefusalKind::NotFound, "There is no such service."));
        }
        Ok(Feed {
            past: self.lines_past.lock().clone(),
            next: follow.then(|| self.lines.subscribe()),
        })
    }
}
