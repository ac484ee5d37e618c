//! A stand-in for the admin API in tests: plays recorded answers and keeps what it was asked.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{Client, ClientError, HostArgs};

/// The token that it takes.
pub(in crate::cli) const TOKEN: &str = "token-of-the-stand-in";

/// Answers of the API by `METHOD /path?query`, in turn; the last one stays.
#[derive(Clone, Default)]
pub(in crate::cli) struct StandIn {
    address: String,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    answers: HashMap<String, VecDeque<Answer>>,
    asked: Vec<Asked>,
}

#[derive(Clone)]
struct Answer {
    status: u16,
    body: String,
    /// Nothing follows the body.
    ends: bool,
}

/// One request.
#[derive(Clone)]
pub(in crate::cli) struct Asked {
    /// `METHOD /path?query`.
    pub(in crate::cli) what: String,
    pub(in crate::cli) headers: HeaderMap,
    pub(in crate::cli) body: Vec<u8>,
}

impl Asked {
    pub(in crate::cli) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

impl StandIn {
    /// Serves the app `shop`.
    pub(in crate::cli) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stand_in = Self {
            address: listener.local_addr().unwrap().to_string(),
            script: Arc::default(),
        };
        stand_in.answer("GET /v1/apps", json!({"apps": ["shop"]}));
        let served = stand_in.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let served = served.clone();
                tokio::spawn(async move {
                    let service =
                        service_fn(|request| async { Ok::<_, Infallible>(served.on(request).await) });
                    let _cut = http1::Builder::new()
                        .keep_alive(false)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        stand_in
    }

    pub(in crate::cli) fn address(&self) -> &str {
        &self.address
    }

    pub(in crate::cli) fn answer(&self, what: &str, body: Value) {
        self.push(what, 200, body.to_string(), true);
    }

    pub(in crate::cli) fn problem(&self, what: &str, status: u16, mut problem: Value) {
        problem["status"] = status.into();
        problem["title"] = "A title".into();
        self.push(what, status, problem.to_string(), true);
    }

    /// Any text; with `…` at its end the answer has no end.
    pub(in crate::cli) fn text(&self, what: &str, status: u16, text: &str) {
        match text.strip_suffix('…') {
            Some(text) => self.push(what, status, text.to_owned(), false),
            None => self.push(what, status, text.to_owned(), true),
        }
    }

    /// Server-sent events, and nothing afterwards.
    pub(in crate::cli) fn events(&self, events: &[Value]) {
        let frame = |(id, event): (usize, &Value)| {
            let mut event = event.clone();
            event["id"] = (id + 1).into();
            event["at"] = "2026-11-21T10:00:00Z".into();
            format!(": a comment\nid: {}\nevent: x\ndata: {event}\n\n", id + 1)
        };
        let lagged = "event: lagged\ndata: {\"lost\": 3}\n\n".to_owned();
        let text: String = std::iter::once(lagged)
            .chain(events.iter().enumerate().map(frame))
            .collect();
        self.text("GET /v1/apps/shop/events", 200, &format!("{text}…"));
    }

    fn push(&self, what: &str, status: u16, body: String, ends: bool) {
        let answer = Answer { status, body, ends };
        let mut script = self.script.lock().unwrap();
        script
            .answers
            .entry(what.to_owned())
            .or_default()
            .push_back(answer);
    }

    /// What was asked so far, the question which app it serves left out.
    pub(in crate::cli) fn asked(&self) -> Vec<Asked> {
        let script = self.script.lock().unwrap();
        let asked = script.asked.iter().filter(|asked| asked.what != "GET /v1/apps");
        asked.cloned().collect()
    }

    /// The one request of this kind.
    pub(in crate::cli) fn asked_for(&self, what: &str) -> Asked {
        let mut found: Vec<Asked> = self
            .asked()
            .into_iter()
            .filter(|asked| asked.what == what)
            .collect();
        assert_eq!(found.len(), 1, "requests {what}");
        found.remove(0)
    }

    async fn on(&self, request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
        let what = format!("{} {}", request.method(), request.uri());
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        let may = head
            .headers
            .get("authorization")
            .is_some_and(|value| value == &format!("Bearer {TOKEN}"));
        let mut script = self.script.lock().unwrap();
        let answers = script.answers.get_mut(&what);
        let answer = match answers {
            _ if !may => Answer {
                status: 401,
                body: json!({"title": "Unauthorized", "status": 401, "detail": "no"}).to_string(),
                ends: true,
            },
            None => panic!("there is no answer to {what}"),
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers[0].clone(),
        };
        script.asked.push(Asked {
            what,
            headers: head.headers,
            body,
        });
        let data = stream::iter([Ok(Frame::data(Bytes::from(answer.body)))]);
        let body = if answer.ends {
            BoxBody::new(StreamBody::new(data))
        } else {
            BoxBody::new(StreamBody::new(data.chain(stream::pending())))
        };
        Response::builder().status(answer.status).body(body).unwrap()
    }

    /// A directory of an app whose host is this one.
    pub(in crate::cli) fn app_dir(&self) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        self.write_state(dir.path(), "shop");
        dir
    }

    pub(in crate::cli) fn write_state(&self, dir: &Path, app: &str) {
        let state = dir.join(".midplane");
        std::fs::create_dir_all(&state).unwrap();
        let running = json!({"admin": format!("http://{}", self.address), "app": app, "pid": 1});
        std::fs::write(state.join("admin.json"), running.to_string()).unwrap();
        std::fs::write(state.join("admin.token"), TOKEN).unwrap();
    }

    /// A client of it.
    pub(in crate::cli) async fn client(&self) -> Client {
        let dir = self.app_dir();
        self.connect(&["-f", dir.path().to_str().unwrap()], None)
            .await
            .unwrap()
    }

    /// A client by these options.
    pub(in crate::cli) async fn connect(
        &self,
        options: &[&str],
        token: Option<&str>,
    ) -> Result<Client, ClientError> {
        #[derive(clap::Parser)]
        struct Typed {
            #[command(flatten)]
            host: HostArgs,
        }
        let arguments = ["midplane"].iter().chain(options);
        let typed = <Typed as clap::Parser>::try_parse_from(arguments).unwrap();
        Client::connect_with(&typed.host, token.map(str::to_owned)).await
    }
}

/// What an answer to a change has, for the fields that a test is not about.
pub(in crate::cli) fn outcome(with: Value) -> Value {
    let mut outcome = json!({
        "outcome": "published", "generation": 7, "entry": 40, "changes": [],
        "prepare_ms": 36.4, "publish_ms": 1.9, "sync_ms": 1.1,
    });
    merge(&mut outcome, with);
    outcome
}

/// An entry of the journal.
pub(in crate::cli) fn entry(with: Value) -> Value {
    let mut entry = json!({
        "number": 40, "at": "2026-11-21T10:00:00Z", "by": "ada", "action": "deploy", "outcome": "published",
        "changes": [], "prepare_ms": 1.0, "publish_ms": 1.0,
    });
    merge(&mut entry, with);
    entry
}

/// A service that is served by `revision`.
pub(in crate::cli) fn service(name: &str, revision: &str, with: Value) -> Value {
    let mut service = json!({
        "service": name, "current": self::revision(revision), "routes": ["/api/..."],
    });
    merge(&mut service, with);
    service
}

/// A revision with some figures.
pub(in crate::cli) fn revision(revision: &str) -> Value {
    json!({
        "revision": revision, "component": "sha256:00", "origin": "deploy",
        "published_at": "2026-11-21T09:00:00Z", "in_flight": 2, "served": 1200, "failed": 3, "usage": {
            "concurrency": 64, "waiting": 1, "queue": 256, "instances": 3, "memory_bytes": 3_407_872,
            "memory_limit_bytes": 268_435_456, "cpu_seconds": 12.34, "cpu_limit_seconds": 1.0, "data": [
                {"kind": "sqlite", "label": "default", "bytes": 40_960, "limit_bytes": 4_294_967_296_u64},
            ],
        },
    })
}

fn merge(into: &mut Value, with: Value) {
    let fields = with.as_object().unwrap().clone();
    into.as_object_mut().unwrap().extend(fields);
}
