//! One example of every type of the API with all that it can have.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::api::*;

pub(super) const DIGEST: &str = "sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
pub(super) const AT: &str = "2026-11-21T12:00:00.000Z";

/// A type, the whole of it, and how it is read and written again.
pub(super) struct Example {
    pub(super) name: &'static str,
    pub(super) whole: Value,
    pub(super) again: fn(&Value) -> Result<Value, serde_json::Error>,
}

fn example<T>(name: &'static str, whole: &T) -> Example
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let value = serde_json::to_value(whole).unwrap();
    assert_eq!(&serde_json::from_value::<T>(value.clone()).unwrap(), whole);
    Example {
        name,
        whole: value,
        again: |value| serde_json::to_value(serde_json::from_value::<T>(value.clone())?),
    }
}

pub(super) fn all() -> Vec<Example> {
    vec![
        example(
            "Apps",
            &Apps {
                apps: vec!["shop".into()],
            },
        ),
        example("App", &app()),
        example(
            "Services",
            &Services {
                services: vec![service()],
            },
        ),
        example("Service", &service()),
        example("Revision", &revision()),
        example("Usage", &usage()),
        example("DataUsage", &usage().data[0]),
        example("Candidate", &candidate()),
        example("Draining", &draining()),
        example("Revisions", &revisions()),
        example("Routes", &routes()),
        example("Route", &routes().routes[0]),
        example("Links", &links()),
        example("Link", &links().links[0]),
        example("History", &history()),
        example("Entry", &history().entries[0]),
        example("Change", &change()),
        example("Stored", &stored()),
        example("Deploy", &deploy()),
        example("DeployOne", &deploy_one()),
        example("Source", &Source::Component(DIGEST.into())),
        example("Source", &Source::Path("/shop/catalog.wasm".into())),
        example("Canary", &canary()),
        example(
            "Promote",
            &Promote {
                weight: Some("50%".into()),
                drain_timeout: Some(0.5),
            },
        ),
        example(
            "Rollback",
            &Rollback {
                revision: Some("0a1b2c".into()),
                allow_new_grants: true,
                drain_timeout: Some(60.0),
            },
        ),
        example(
            "Apply",
            &Apply {
                manifest: "/shop/spin.toml".into(),
                dry_run: true,
                allow_new_grants: true,
                drain_timeout: Some(60.0),
            },
        ),
        example("DrainedNow", &DrainedNow { interrupted: 3 }),
        example("Outcome", &outcome()),
        example("Event", &event(7)),
        example("Lagged", &Lagged { lost: 3 }),
        example("LogLine", &line("hello")),
        example("Problem", &problem()),
    ]
}

pub(super) fn app() -> App {
    App {
        app: "shop".into(),
        url: "http://127.0.0.1:3000".into(),
        generation: 4,
        manifest: DIGEST.into(),
        services: vec![service()],
    }
}

pub(super) fn service() -> Service {
    Service {
        service: "catalog".into(),
        current: revision(),
        candidate: Some(candidate()),
        draining: vec![draining()],
        routes: vec!["/catalog/...".into()],
    }
}

fn revision() -> Revision {
    Revision {
        revision: "0a1b2c3d4e5f".into(),
        component: DIGEST.into(),
        origin: "deploy".into(),
        published_at: AT.into(),
        in_flight: 1,
        served: 20,
        failed: 2,
        usage: Some(usage()),
    }
}

fn usage() -> Usage {
    Usage {
        concurrency: 64,
        waiting: 3,
        queue: 256,
        instances: 2,
        memory_bytes: 2 << 20,
        memory_limit_bytes: 256 << 20,
        cpu_seconds: 1.5,
        cpu_limit_seconds: 1.0,
        data: vec![DataUsage {
            kind: "sqlite".into(),
            label: "default".into(),
            bytes: 4096,
            limit_bytes: 1 << 30,
        }],
    }
}

fn candidate() -> Candidate {
    Candidate {
        revision: revision(),
        weight: "10%".into(),
        sticky: "client".into(),
        rollout: 9,
    }
}

fn draining() -> Draining {
    Draining {
        revision: "f5e4d3c2b1a0".into(),
        in_flight: 2,
        since: AT.into(),
        until: AT.into(),
    }
}

pub(super) fn revisions() -> Revisions {
    Revisions {
        revisions: vec![revision()],
    }
}

pub(super) fn routes() -> Routes {
    Routes {
        routes: vec![Route {
            route: "/catalog/...".into(),
            service: Some("catalog".into()),
        }],
    }
}

pub(super) fn links() -> Links {
    Links {
        links: vec![Link {
            caller: "orders".into(),
            callee: "catalog".into(),
            import: "shop:catalog/products@1.0.0".into(),
            export: "shop:catalog/products@1.0.1".into(),
            explicit: true,
        }],
    }
}

pub(super) fn history() -> History {
    History {
        entries: vec![Entry {
            number: 12,
            at: AT.into(),
            by: "ada".into(),
            action: "deploy".into(),
            outcome: "rolled back".into(),
            cause: Some("it failed more often".into()),
            generation: Some(4),
            changes: vec![change()],
            prepare_ms: 12.5,
            publish_ms: Some(0.5),
            drain_ms: Some(100.0),
            interrupted: Some(1),
        }],
        next: Some(12),
    }
}

fn change() -> Change {
    Change {
        service: "catalog".into(),
        from: Some("f5e4d3c2b1a0".into()),
        to: Some("0a1b2c3d4e5f".into()),
        component: Some(DIGEST.into()),
        new_grants: vec!["key_value_stores: default".into()],
        lost_grants: vec!["sqlite_databases: default".into()],
    }
}

pub(super) fn stored() -> Stored {
    Stored {
        component: DIGEST.into(),
    }
}

fn canary() -> Canary {
    Canary {
        weight: "10%".into(),
        sticky: Some("header:x-user".into()),
    }
}

pub(super) fn deploy() -> Deploy {
    Deploy {
        services: [("catalog".to_owned(), Source::Component(DIGEST.into()))].into(),
        canary: Some(canary()),
        allow_new_grants: true,
        drain_timeout: Some(60.0),
    }
}

fn deploy_one() -> DeployOne {
    DeployOne {
        component: Some(DIGEST.into()),
        path: Some("/shop/catalog.wasm".into()),
        canary: Some(canary()),
        allow_new_grants: true,
        drain_timeout: Some(60.0),
    }
}

pub(super) fn outcome() -> Outcome {
    Outcome {
        outcome: "published".into(),
        generation: 5,
        entry: Some(13),
        changes: vec![change()],
        differences: vec!["route /new/... is new".into()],
        warnings: vec!["nothing leads to `orders`".into()],
        prepare_ms: 12.5,
        publish_ms: 0.5,
        sync_ms: 0.25,
    }
}

pub(super) fn event(id: u64) -> Event {
    Event {
        id,
        at: AT.into(),
        rollout: Some(9),
        service: Some("catalog".into()),
        event: "published".into(),
        revision: Some("0a1b2c3d4e5f".into()),
        entry: Some(13),
        detail: "in force".into(),
        interrupted: Some(0),
    }
}

pub(super) fn line(text: &str) -> LogLine {
    LogLine {
        at: AT.into(),
        revision: "0a1b2c3d4e5f".into(),
        stream: "stdout".into(),
        request_id: "01JD".into(),
        text: text.into(),
    }
}

fn problem() -> Problem {
    Problem {
        title: "Refused".into(),
        status: 422,
        detail: "It wants more than before.".into(),
        kind: Some("refused".into()),
        hint: Some("Say --allow-new-grants.".into()),
        new_grants: vec!["key_value_stores: default".into()],
        entry: Some(13),
    }
}
