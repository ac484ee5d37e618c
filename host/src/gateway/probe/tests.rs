//! Revisions that work and such that do not, each asked by a probe.

mod guest;

use std::collections::BTreeMap;
use std::error::Error as _;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::Method;

use self::guest::{Does, component};
use super::*;
use crate::capability::Grants;
use crate::capability::key_value::KeyValue;
use crate::capability::outbound_http::{Body, ClientOptions, HttpClient, HttpClientError, OutboundHttp};
use crate::capability::sqlite::Sqlite;
use crate::capability::sqlite::port::Bounds;
use crate::capability::variables::Variables;
use crate::engine::{Engines, Program, Settings};
use crate::model::outbound_host::{AllowedHosts, BlockedNetworks};
use crate::model::{AppName, Instances, Limits};
use crate::service::Identity;
use crate::service::router::Router;
use crate::shutdown::Tasks;
use crate::telemetry::Metrics;

struct Nowhere;

impl HttpClient for Nowhere {
    fn send(
        &self,
        _: Request<Body>,
        _: ClientOptions,
    ) -> BoxFuture<'static, Result<Response<Body>, HttpClientError>> {
        std::future::ready(Err(HttpClientError::DestinationNotFound)).boxed()
    }
}

fn name() -> ServiceName {
    ServiceName::parse("hello").unwrap()
}

fn get(path: &str) -> Probe {
    Probe::get(path.parse().unwrap())
}

/// Lets a candidate that does so answer `probe`. The generation does not know it.
async fn asked(does: Does, limits: Limits, asked: &Probe) -> Result<(), ProbeError> {
    let cache = tempfile::tempdir().unwrap();
    let settings = Settings {
        max_instances: 4,
        ..Settings::default()
    };
    let engines = Engines::new(settings, &cache.path().join("cache")).unwrap();
    let compiled = engines.load(&component(&does), &|| {}).unwrap();
    let code = engines.link(&compiled, Vec::new()).unwrap();
    let id = Identity::of(&compiled.digest(), [0; 32]).finish();
    let metrics = Metrics::new().revision("app", "hello", &id.to_string());
    let grants = Grants {
        environment: Vec::new(),
        files: None,
        variables: Variables::new(BTreeMap::new()),
        key_value: KeyValue::new(BTreeMap::new()),
        sqlite: Sqlite::new(BTreeMap::new(), Bounds::default()),
        outbound_http: Arc::new(OutboundHttp::new(
            AllowedHosts::default(),
            BlockedNetworks::default(),
        )),
        http_client: Arc::new(Nowhere),
        clock: None,
    };
    let program = Program::new(
        engines,
        name(),
        id,
        code,
        &Instances::default(),
        limits,
        grants,
        metrics.clone(),
        Tasks::new(),
    );
    let revision = Arc::new(Revision::new(name(), id, program, metrics));
    let app = AppName::parse("app").unwrap();
    let generation = crate::service::Generation::new(app, 1, Router::new(Vec::new()), BTreeMap::new());
    let view = Arc::new(generation).without_candidates();
    probe(&view, &revision, asked).await
}

async fn refused(does: Does, probe: &Probe) -> ProbeError {
    asked(does, Limits::default(), probe).await.unwrap_err()
}

#[tokio::test]
async fn an_answer_as_declared_passes() {
    let mut probe = get("/healthz?deep=1");
    asked(Does::Answers(204, ""), Limits::default(), &probe)
        .await
        .unwrap();
    probe.status = Some(StatusCode::SERVICE_UNAVAILABLE);
    probe.body_contains = Some("resting".into());
    asked(Does::Answers(503, "is resting now"), Limits::default(), &probe)
        .await
        .unwrap();
    for method in [Method::HEAD, Method::POST] {
        let probe = Probe {
            method,
            ..get("/healthz")
        };
        asked(Does::Answers(200, "fine"), Limits::default(), &probe)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn the_guest_sees_the_path_with_its_query() {
    let mut probe = get("/healthz?deep=1");
    probe.body_contains = Some("/healthz?deep=1".into());
    asked(Does::Echoes, Limits::default(), &probe).await.unwrap();
}

#[tokio::test]
async fn an_answer_of_another_status_or_body_is_shown() {
    let probe = get("/healthz");
    let error = refused(Does::Answers(500, "no \u{1b}[31mdatabase\n"), &probe).await;
    assert_eq!(
        error.to_string(),
        r#"the probe GET /healthz answered 500, not 200 to 299; body: "no \u{1b}[31mdatabase\n""#
    );
    let probe = Probe {
        status: Some(StatusCode::OK),
        ..probe
    };
    assert_eq!(
        refused(Does::Answers(204, ""), &probe).await.to_string(),
        "the probe GET /healthz answered 204, not 200; its body is empty"
    );
    let probe = Probe {
        body_contains: Some("\"ok\"".into()),
        ..probe
    };
    assert_eq!(
        refused(Does::Answers(200, "ok"), &probe).await.to_string(),
        r#"the probe GET /healthz answered 200 without "\"ok\"" in the body; body: "ok""#
    );
}

#[tokio::test]
async fn a_guest_that_fails_does_not_pass() {
    let probe = get("/");
    for (does, cause) in [
        (Does::Traps, "the guest failed"),
        (Does::SaysNothing, "the guest ended without a response"),
        (
            Does::FailsAfterwards,
            "the response, with the status 200, broke off within its body",
        ),
    ] {
        let error = refused(does, &probe).await;
        assert_eq!(error.to_string(), "the probe GET / got no whole answer");
        assert_eq!(error.source().unwrap().to_string(), cause);
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_cut() {
    let error = refused(Does::WritesOn, &get("/")).await;
    assert_eq!(
        error.to_string(),
        "the probe GET / answered 200 with more than 1048576 bytes"
    );
}

#[tokio::test]
async fn a_guest_that_computes_on_is_stopped_when_the_time_of_the_probe_or_its_own_is_over() {
    let probe = Probe {
        timeout: Duration::from_millis(50),
        ..get("/")
    };
    assert_eq!(
        refused(Does::Computes, &probe).await.to_string(),
        "the probe GET / was not answered within 50ms"
    );
    let limits = Limits {
        timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let error = asked(Does::Computes, limits, &get("/")).await.unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "no response within 50ms");
}

#[test]
fn the_request_is_that_of_another_service() {
    let mut probe = get("/healthz?deep=1");
    probe.headers.insert("x-probe", "1".parse().unwrap());
    let request = request(&name(), &probe).unwrap();
    assert_eq!(
        request.uri().to_string(),
        "http://hello.spin.internal/healthz?deep=1"
    );
    let header = |name: &str| request.headers()[name].to_str().unwrap();
    assert_eq!(header("x-probe"), "1");
    assert_eq!(header("spin-path-info"), "/healthz");
    assert_eq!(header("spin-full-url"), request.uri().to_string());
    assert_eq!(header("spin-matched-route"), "/...");
    assert_eq!(header("spin-client-addr"), "127.0.0.1:80");
}

#[test]
fn the_start_of_a_body_is_shown_without_half_a_character() {
    let shown = |body: &[u8]| ShownBody::of(body).to_string();
    assert_eq!(shown(&[b'x'; 200]), format!("body: {:?}", "x".repeat(200)));
    assert_eq!(shown(&[b'x'; 201]), format!("body: {:?}…", "x".repeat(200)));
    let long = format!("{}é", "x".repeat(199));
    assert_eq!(shown(long.as_bytes()), format!("body: {:?}…", "x".repeat(199)));
    assert_eq!(shown(b"a\xff\x00b\xe2\x82"), "body: \"a\u{fffd}\\0b\u{fffd}\"");
    assert_eq!(shown("\u{202e}".as_bytes()), r#"body: "\u{202e}""#);
}

#[test]
fn a_text_is_found_wherever_it_stands() {
    for body in ["ok", "ok there", "is ok", "oook"] {
        assert!(contains(body.as_bytes(), b"ok"), "{body}");
    }
    for body in ["", "o", "Ok", "o k"] {
        assert!(!contains(body.as_bytes(), b"ok"), "{body}");
    }
}
