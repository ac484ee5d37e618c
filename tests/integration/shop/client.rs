//! A client of the shop that holds every answer against the service's document.

use std::future::poll_fn;
use std::ops::Deref;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::{Method, Request};
use serde_json::{Value, json};

use super::application::{ADMIN_EMAIL, ADMIN_PASSWORD};
use super::contract::Contract;
use crate::harness::{Answer, Body, Builder, Connection, TestHost, empty, full};

/// A request in the making.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Bytes>,
}

pub fn get(path: impl Into<String>) -> Call {
    Call::new(Method::GET, path)
}

pub fn post(path: impl Into<String>) -> Call {
    Call::new(Method::POST, path)
}

pub fn put(path: impl Into<String>) -> Call {
    Call::new(Method::PUT, path)
}

pub fn delete(path: impl Into<String>) -> Call {
    Call::new(Method::DELETE, path)
}

impl Call {
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        let (path, headers) = (path.into(), Vec::new());
        Self {
            method,
            path,
            headers,
            body: None,
        }
    }

    /// A header field; one of the same name is replaced.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(present, _)| present != name);
        self
    }

    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub fn body(mut self, media_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self.header("content-type", media_type)
    }

    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }
}

impl From<Call> for Request<Body> {
    fn from(call: Call) -> Self {
        let mut request = Request::builder().method(call.method).uri(call.path);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let body = call.body.map_or_else(empty, full);
        request.body(body).expect("the test's request is valid")
    }
}

/// Access and refresh token, as they are given out.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

impl From<&Answer> for Tokens {
    fn from(answer: &Answer) -> Self {
        let body = answer.json();
        let token = |name: &str| body[name].as_str().expect("a token is text").to_owned();
        Self {
            access: token("access_token"),
            refresh: token("refresh_token"),
        }
    }
}

/// The documents of the services.
pub struct Contracts {
    pub auth: Contract,
    pub catalog: Contract,
    pub orders: Contract,
}

impl Contracts {
    pub fn load() -> Arc<Self> {
        Arc::new(Self {
            auth: Contract::of("auth"),
            catalog: Contract::of("catalog"),
            orders: Contract::of("orders"),
        })
    }

    pub fn all(&self) -> [&Contract; 3] {
        [&self.auth, &self.catalog, &self.orders]
    }

    pub fn of(&self, path: &str) -> &Contract {
        if path.starts_with("/auth/") {
            &self.auth
        } else if path.starts_with("/orders") {
            &self.orders
        } else {
            &self.catalog
        }
    }
}

/// A host that serves the shop.
pub struct Shop {
    pub host: TestHost,
    contracts: Arc<Contracts>,
}

impl Deref for Shop {
    type Target = TestHost;

    fn deref(&self) -> &TestHost {
        &self.host
    }
}

impl Shop {
    pub async fn start(builder: &Builder) -> Self {
        Self::start_with(builder, Contracts::load()).await
    }

    /// With documents that take note of what they see of other hosts, too.
    pub async fn start_with(builder: &Builder, contracts: Arc<Contracts>) -> Self {
        let host = builder.start().await;
        Self { host, contracts }
    }

    /// Sends a request that the documents say nothing about.
    pub async fn probe(&self, call: Call) -> Answer {
        self.host.request(call.into()).await
    }

    /// Sends a request and checks the answer.
    pub async fn send(&self, call: Call) -> Answer {
        let (method, path, sent) = (call.method.clone(), call.path.clone(), call.body.clone());
        let answer = self.probe(call).await;
        self.contracts
            .of(&path)
            .check(&method, &path, sent.as_deref(), &answer);
        answer
    }

    /// Sends a request on a connection that may break, and checks the answer, if one comes.
    pub async fn attempt(&self, connection: &Connection, call: Call) -> Option<Answer> {
        let (method, path, sent) = (call.method.clone(), call.path.clone(), call.body.clone());
        let answer = connection.exchange(call.into()).await.ok()?;
        self.contracts
            .of(&path)
            .check(&method, &path, sent.as_deref(), &answer);
        Some(answer)
    }

    /// Sends a request whose answer must have this status.
    pub async fn expect(&self, status: u16, call: Call) -> Answer {
        let sent = format!("{call:?}");
        let answer = self.send(call).await;
        let log = || self.host.log_text();
        assert_eq!(
            answer.status,
            status,
            "{sent}\nanswered {:?}\n{}",
            answer.text(),
            log()
        );
        answer
    }

    pub async fn register(&self, email: &str, password: &str) -> Tokens {
        let call = post("/auth/register").json(&credentials(email, password));
        (&self.expect(201, call).await).into()
    }

    pub async fn login(&self, email: &str, password: &str) -> Tokens {
        let call = post("/auth/login").json(&credentials(email, password));
        (&self.expect(200, call).await).into()
    }

    /// An access token of the admin.
    pub async fn admin(&self) -> String {
        self.login(ADMIN_EMAIL, ADMIN_PASSWORD).await.access
    }

    /// Adds a product and returns it as it was answered.
    pub async fn create(&self, token: &str, product: &Value) -> Value {
        let call = post("/catalog/products").bearer(token).json(product);
        self.expect(201, call).await.json()
    }

    /// A product as it stands.
    pub async fn product(&self, id: &str) -> Value {
        self.expect(200, get(format!("/catalog/products/{id}")))
            .await
            .json()
    }

    /// All products, in the order of a listing with these parameters.
    pub async fn list(&self, parameters: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self
                .expect(
                    200,
                    get(format!("/catalog/products?limit=100&{parameters}{cursor}")),
                )
                .await;
            let page = page.json();
            items.extend(
                page["items"]
                    .as_array()
                    .expect("a page has items")
                    .iter()
                    .cloned(),
            );
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }

    /// A request to hold one line.
    pub fn reservation(token: &str, id: &str, product: &str, quantity: u64, seconds: u64) -> Call {
        let body = json!({
            "id": id,
            "lines": [{ "product_id": product, "quantity": quantity }],
            "ttl_seconds": seconds,
        });
        post("/catalog/reservations").bearer(token).json(&body)
    }
}

pub fn credentials(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

/// A product that the catalog accepts.
pub fn product(sku: &str, stock: u64) -> Value {
    json!({
        "sku": sku,
        "name": format!("Product {sku}"),
        "description": "Made by a test.",
        "category": "test",
        "price": { "amount": 1250, "currency": "EUR" },
        "stock": stock,
    })
}

/// A member of an answer that is text.
pub fn text(value: &Value, member: &str) -> String {
    let found = value[member].as_str();
    found
        .unwrap_or_else(|| panic!("{member} is no text in {value}"))
        .to_owned()
}

/// Awaits all at the same time, in order.
pub async fn at_once<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures
        .into_iter()
        .map(|future| (Box::pin(future), None))
        .collect();
    poll_fn(|context| {
        for (future, output) in &mut running {
            if output.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        match running.iter().all(|(_, output)| output.is_some()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
    running.into_iter().filter_map(|(_, output)| output).collect()
}
