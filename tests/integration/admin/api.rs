//! A client of the admin API that knows what its document says: an answer that is not described there fails the test.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use crate::harness::{Answer, Body, Connection, Protocol, TestHost, empty, full, soon};
use crate::shop::schema;

/// What the API is asked by.
pub const METHODS: [Method; 6] = [
    Method::GET,
    Method::PUT,
    Method::POST,
    Method::DELETE,
    Method::PATCH,
    Method::OPTIONS,
];

/// The admin API of a host.
pub struct Api {
    address: SocketAddr,
    token: String,
    pub document: Document,
    /// The operations that went well so far.
    done: Mutex<BTreeSet<String>>,
}

impl Api {
    /// That of a host with this state directory.
    pub async fn of(host: &TestHost, state: &Path) -> Self {
        Self {
            address: host.admin,
            token: token(state),
            document: Document::of(host.admin).await,
            done: Mutex::default(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(request(Method::GET, path)).await
    }

    /// The same, where it is expected to go well.
    pub async fn read(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        answer.json()
    }

    /// Sends a body of JSON.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string().into_bytes();
        self.send(Method::POST, path, "application/json", body).await
    }

    /// The same, where it is expected to go well.
    pub async fn change(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{path} {body}: {answer:?}");
        answer.json()
    }

    pub async fn send(&self, method: Method, path: &str, media: &str, body: Vec<u8>) -> Answer {
        let mut sent = request(method, path);
        sent.headers_mut()
            .insert("content-type", media.parse().expect("a media type"));
        *sent.body_mut() = full(body);
        self.ask(sent).await
    }

    /// Sends a request with the token and reads the answer, which must be as described.
    pub async fn ask(&self, mut request: Request<Body>) -> Answer {
        let bearer = format!("Bearer {}", self.token).parse().expect("it is a header");
        request.headers_mut().insert("authorization", bearer);
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let answer = exchange(self.address, request).await;
        self.document.check(&method, &path, &answer);
        if answer.status.is_success() {
            let operation = self.document.operation(&method, &path);
            let id = operation.expect("what goes well is described")["operationId"].to_string();
            self.note(&id);
        }
        answer
    }

    /// Begins to read a stream, further headers given.
    pub async fn stream(&self, path: &str, headers: &[(&'static str, &str)]) -> Stream {
        let connection = Connection::open(self.address, Protocol::Http1).await;
        let mut sent = request(Method::GET, path);
        let bearer = format!("Bearer {}", self.token);
        for (name, value) in [("authorization", bearer.as_str())].iter().chain(headers) {
            let value = value.parse().expect("it is a header");
            sent.headers_mut().insert(*name, value);
        }
        let response = connection.send(sent).await.expect("the admin listener answers");
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let operation = self
            .document
            .operation(&Method::GET, path)
            .expect("it is described");
        let media = response.headers()["content-type"].to_str().expect("it is text");
        let media = media.split(';').next().unwrap_or_default();
        let described = &operation["responses"]["200"]["content"];
        assert!(described.get(media).is_some(), "{path}: {media} is not described");
        self.note(&operation["operationId"].to_string());
        Stream {
            body: response.into_body(),
            read: String::new(),
            _connection: connection,
        }
    }

    fn note(&self, id: &str) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.insert(id.trim_matches('"').to_owned());
    }

    /// The operations that went well.
    pub fn done(&self) -> BTreeSet<String> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A stream that is read as it comes.
pub struct Stream {
    body: Incoming,
    read: String,
    _connection: Connection,
}

impl Stream {
    /// The next whole line; nothing at the end.
    pub async fn line(&mut self) -> Option<String> {
        loop {
            if let Some((line, rest)) = self.read.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.read = rest;
                return Some(line);
            }
            let frame = soon("a line of a stream", self.body.frame()).await?;
            let data = frame.expect("the stream is not cut").into_data();
            let data = data.expect("the stream has no trailers");
            self.read.push_str(&String::from_utf8_lossy(&data));
        }
    }
}

/// The token that a host keeps in this state directory.
pub fn token(state: &Path) -> String {
    let text = fs::read_to_string(state.join("admin.token")).expect("a host that serves has a token");
    text.trim().to_owned()
}

/// A request without a body and without the token.
pub fn request(method: Method, path: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    request.body(empty()).expect("the test's path is valid")
}

/// Sends a request as it is, on a connection of its own.
pub async fn exchange(address: SocketAddr, request: Request<Body>) -> Answer {
    let connection = Connection::open(address, Protocol::Http1).await;
    connection
        .exchange(request)
        .await
        .expect("the admin listener answers")
}

/// The document of the API, as a host serves it.
pub struct Document(Value);

impl Document {
    pub async fn of(admin: SocketAddr) -> Self {
        let answer = exchange(admin, request(Method::GET, "/v1/openapi.json")).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        Self(answer.json())
    }

    /// Every path with the methods that are described for it.
    pub fn paths(&self) -> Vec<(String, Vec<Method>)> {
        let paths = self.0["paths"].as_object().expect("there are paths");
        let methods = |item: &Value| {
            let described = |method: &Method| item.get(method.as_str().to_lowercase()).is_some();
            METHODS.into_iter().filter(described).collect()
        };
        paths
            .iter()
            .map(|(path, item)| (path.clone(), methods(item)))
            .collect()
    }

    /// The identities of all operations.
    pub fn ids(&self) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for item in self.0["paths"].as_object().expect("there are paths").values() {
            let operations = item.as_object().expect("a path has operations").values();
            let named = operations.filter_map(|operation| operation.get("operationId"));
            ids.extend(named.map(|id| id.as_str().expect("it is text").to_owned()));
        }
        ids
    }

    /// What is said of a request, if anything.
    pub fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let path: Vec<&str> = path.split('?').next()?.split('/').collect();
        let paths = self.0["paths"].as_object().expect("there are paths");
        let (_, item) = paths.iter().find(|(pattern, _)| {
            let pattern: Vec<&str> = pattern.split('/').collect();
            let mut pairs = pattern.iter().zip(&path);
            pattern.len() == path.len()
                && pairs.all(|(wanted, given)| wanted == given || wanted.starts_with('{'))
        })?;
        item.get(method.as_str().to_lowercase())
    }

    /// The schema with this name.
    pub fn violations(&self, name: &str, value: &Value) -> Vec<String> {
        let schema = &self.0["components"]["schemas"][name];
        assert!(schema.is_object(), "there is no schema {name}");
        schema::violations(&self.0, schema, value)
    }

    /// Fails the test where an answer is not what the document says of the request. Where it says nothing of the request, that
    /// there is no such thing is the only answer.
    pub fn check(&self, method: &Method, path: &str, answer: &Answer) {
        let status = answer.status.as_str();
        let Some(operation) = self.operation(method, path) else {
            assert!(
                ["401", "403", "404", "405", "421"].contains(&status),
                "{method} {path} is not described: {answer:?}"
            );
            return;
        };
        let described = &operation["responses"][status];
        assert!(
            described.is_object(),
            "{method} {path} is not said to answer {status}: {answer:?}"
        );
        let content = &schema::resolve(&self.0, described)["content"];
        let media = answer
            .header("content-type")
            .split(';')
            .next()
            .unwrap_or_default();
        let content = content.get(media).unwrap_or_else(|| {
            panic!("{method} {path}: {media:?} is not described for {status}: {answer:?}")
        });
        if media.ends_with("json") && path != "/v1/openapi.json" {
            let found = schema::violations(&self.0, &content["schema"], &answer.json());
            assert_eq!(found, Vec::<String>::new(), "{method} {path}: {answer:?}");
        }
    }
}
