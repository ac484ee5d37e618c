//! `limits` and `instances`: what they mean, of the app and of a service.

use std::time::Duration;

use super::{HEAD, parsed};
use crate::manifest::{App, INSTANCE_KEYS, LIMIT_KEYS, Service};
use crate::model::{InstancePolicy, Instances, Limits};

/// Services `a` and `b`, and one inline. The tables of Midplane: of the app, of `a`, of the inline one.
fn app(of_app: &str, own: &str, inline: &str) -> App {
    parsed(&format!(
        "spin_manifest_version = 2\n[application]\nname = \"app\"\ntool.midplane = {{ {of_app} }}\n\
         [[trigger.http]]\nroute = \"/a\"\ncomponent = \"a\"\n\
         [[trigger.http]]\nroute = \"/b\"\ncomponent = \"b\"\n\
         [[trigger.http]]\nid = \"c\"\nroute = \"/c\"\n\
         component = {{ source = \"c.wasm\", tool = {{ midplane = {{ {inline} }} }} }}\n\
         [component.a]\nsource = \"a.wasm\"\ntool.midplane = {{ {own} }}\n\
         [component.b]\nsource = \"b.wasm\"\n"
    ))
}

fn inline(app: &App) -> &Service {
    let service = app
        .services
        .values()
        .find(|service| service.source.ends_with("c.wasm"));
    service.unwrap()
}

#[test]
fn who_says_nothing_has_the_defaults() {
    let app = app("", "", "");
    for service in app.services.values() {
        assert_eq!(service.limits, Limits::default());
        assert_eq!(service.instances, Instances::default());
        assert_eq!(service.instance_memory, None);
    }
}

#[test]
fn every_limit_arrives() {
    let own = "limits = { memory = \"1GiB\", instance_memory = \"512MiB\", cpu_time = \"50ms\", timeout = \"5s\", \
               concurrency = 8, queue = 3, queue_timeout = \"250ms\", request_body = \"1KiB\", response_body = \"2KiB\", \
               database_size = \"1MiB\", call_depth = 4 }";
    let app = app("", own, "");
    let expected = [
        ("memory", "1GiB"),
        ("instance_memory", "512MiB"),
        ("cpu_time", "50ms"),
        ("timeout", "5s"),
        ("concurrency", "8"),
        ("queue", "3"),
        ("queue_timeout", "250ms"),
        ("request_body", "1KiB"),
        ("response_body", "2KiB"),
        ("database_size", "1MiB"),
        ("call_depth", "4"),
    ]
    .map(|(key, value)| (key, value.to_owned()));
    let limits = &app.services["a"].limits;
    assert_eq!(limits.set(), expected);
    assert_eq!(limits.shown(), expected);
    assert_eq!(expected.map(|(key, _)| key), LIMIT_KEYS);
    let location = app.services["a"].instance_memory.as_ref().unwrap();
    assert_eq!(location.line, 17);
    assert_eq!(app.services["b"].limits, Limits::default());
}

#[test]
fn every_setting_of_instances_arrives() {
    let own = "instances = { policy = \"reuse\", max_requests = 7, concurrency = 3, idle = \"2s\" }";
    let app = app("", own, "");
    assert_eq!(
        app.services["a"].instances,
        Instances {
            policy: Some(InstancePolicy::Reuse),
            max_requests: 7.try_into().unwrap(),
            concurrency: 3.try_into().unwrap(),
            idle: Duration::from_secs(2),
        }
    );
    let shown = app.services["a"].instances.shown();
    assert_eq!(shown.map(|(key, _)| key), INSTANCE_KEYS);
    assert_eq!(app.services["b"].instances, Instances::default());
}

#[test]
fn what_a_service_says_goes_before_what_the_app_says_key_by_key() {
    let app = app(
        "limits = { timeout = \"5s\", queue = 3, response_body = \"1KiB\" }, instances = { policy = \"reuse\", idle = \"1s\" }",
        "limits = { timeout = \"9s\", response_body = \"unlimited\" }, instances = { max_requests = 2 }",
        "limits = { queue = 0 }, instances = { policy = \"fresh\" }",
    );
    let of = |service: &Service| {
        let limits = &service.limits;
        (limits.timeout.as_secs(), limits.queue, limits.response_body)
    };
    assert_eq!(of(&app.services["a"]), (9, 3, None));
    assert_eq!(of(&app.services["b"]), (5, 3, Some(1024)));
    assert_eq!(of(inline(&app)), (5, 0, Some(1024)));
    let of = |service: &Service| {
        let instances = &service.instances;
        (
            instances.policy,
            instances.max_requests.get(),
            instances.idle.as_secs(),
        )
    };
    assert_eq!(of(&app.services["a"]), (Some(InstancePolicy::Reuse), 2, 1));
    assert_eq!(of(&app.services["b"]), (Some(InstancePolicy::Reuse), 1000, 1));
    // What the app says of reuse is not for a service that is fresh.
    assert_eq!(of(inline(&app)), (Some(InstancePolicy::Fresh), 1000, 30));
}

#[test]
fn an_instance_never_has_more_than_all_together() {
    let app = app(
        "",
        "limits = { memory = \"32MiB\" }",
        "limits = { memory = \"1GiB\" }",
    );
    let of = |service: &Service| (service.limits.memory >> 20, service.limits.instance_memory >> 20);
    assert_eq!(of(&app.services["a"]), (32, 32));
    assert_eq!(of(inline(&app)), (1024, 128));
    assert_eq!(app.services["a"].instance_memory, None);
}

#[test]
fn a_service_takes_no_more_requests_in_an_instance_than_at_all() {
    let app = app(
        "instances = { policy = \"reuse\", concurrency = 16 }",
        "limits = { concurrency = 2 }",
        "",
    );
    assert_eq!(app.services["a"].instances.concurrency.get(), 2);
    assert_eq!(app.services["b"].instances.concurrency.get(), 16);
}

#[test]
fn the_least_and_the_most_of_each_limit_are_taken() {
    for limits in [
        "memory = \"64KiB\"",
        "memory = \"1TiB\", instance_memory = \"4GiB\"",
        "instance_memory = \"64KiB\"",
        "cpu_time = \"1ms\", timeout = \"1ms\", queue_timeout = \"1ms\"",
        "cpu_time = \"1h\", timeout = \"60m\", queue_timeout = \"3600s\"",
        "concurrency = 1, queue = 0, call_depth = 1",
        "concurrency = 10_000, queue = 100_000, call_depth = 64",
        "request_body = \"0B\", response_body = \"1B\", database_size = \"64KiB\"",
        "request_body = \"1TiB\", response_body = \"1TiB\", database_size = \"1TiB\"",
    ] {
        let text =
            format!("{HEAD}[component.a]\nsource = \"a.wasm\"\ntool.midplane.limits = {{ {limits} }}\n");
        parsed(&text);
    }
}
