//! The client of the admin API: what commands that look at a running host, or change it, have in common.
//!
//! It hides where the host is, how it is asked and what its answers look like on the wire; commands see the API's own
//! types (`admin/api.rs`). Before anything else the host tells which app it serves, so that a token that is not taken, or a
//! port that now belongs to somebody else, is known before a component is built or sent. Errors are in `client/error.rs`.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::api;
use crate::model::{AppName, ServiceName};

mod error;
mod exchange;
mod locate;
#[cfg(test)]
pub(super) mod stand_in;
mod stream;
#[cfg(test)]
mod tests;

pub(super) use error::ClientError;
use exchange::{Exchange, Wait};
pub(super) use locate::{HostArgs, TOKEN};
pub(super) use stream::{Events, Lines};

/// The header that says who asks for a change.
const ACTOR: HeaderName = HeaderName::from_static("midplane-actor");
/// The media type of components.
const WASM: HeaderValue = HeaderValue::from_static("application/wasm");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream");
/// The most entries of the journal that are asked for at once.
const PAGE: usize = 100;

/// A host that answered, and its app.
#[derive(Debug)]
pub(super) struct Client {
    exchange: Exchange,
    app: AppName,
    /// `/v1/apps/{app}`.
    base: String,
    by: Option<HeaderValue>,
}

/// Which log lines are wanted.
#[derive(Debug, Default)]
pub(super) struct LogQuery<'a> {
    /// Only those of this revision.
    pub(super) revision: Option<&'a str>,
    /// So many of the past.
    pub(super) tail: Option<usize>,
    /// Those to come as well.
    pub(super) follow: bool,
}

impl Client {
    /// Finds the host and asks it which app it serves.
    ///
    /// # Errors
    /// [`ClientError`] where no host answers, it is not the one that is meant, or it does not take the token.
    pub(super) async fn connect(args: &HostArgs) -> Result<Self, ClientError> {
        Self::connect_with(args, std::env::var(TOKEN).ok()).await
    }

    /// [`Client::connect`] with the environment as a parameter.
    pub(super) async fn connect_with(args: &HostArgs, token: Option<String>) -> Result<Self, ClientError> {
        let exchange = Exchange::new(args.find(token)?);
        let served: api::Apps = whole(
            &exchange,
            request(Method::GET, "/v1/apps", Bytes::new()),
            Wait::Short,
        )
        .await?;
        let place = exchange.place();
        let address = || place.address.clone();
        let app = match (&place.app, served.apps.as_slice()) {
            (Some(wanted), served) if served.contains(wanted) => wanted,
            (Some(wanted), served) => {
                return Err(ClientError::OtherApp {
                    address: address(),
                    wanted: wanted.clone(),
                    found: served.join("`, `"),
                });
            }
            (None, [app]) => app,
            (None, served) => {
                return Err(ClientError::WhichApp {
                    address: address(),
                    found: match served.len() {
                        0 => "no app".to_owned(),
                        _ => served.join(", "),
                    },
                });
            }
        };
        let app = AppName::parse(app).map_err(|error| exchange.not_understood(error))?;
        Ok(Self {
            base: format!("/v1/apps/{}", app.path_segment()),
            exchange,
            app,
            by: None,
        })
    }

    /// From now on changes are asked for in this name, which has no control characters: a header could not hold them.
    pub(super) fn act_as(&mut self, by: &str) {
        self.by = HeaderValue::from_bytes(by.as_bytes()).ok();
    }

    /// # Errors
    /// [`ClientError::OtherApp`] unless the host serves `app`, which was looked at in the meantime.
    pub(super) fn must_serve(&self, app: &str) -> Result<(), ClientError> {
        if self.app.as_str() == app {
            return Ok(());
        }
        Err(ClientError::OtherApp {
            address: self.exchange.place().address.clone(),
            wanted: app.to_owned(),
            found: self.app.to_string(),
        })
    }

    /// What is served now.
    pub(super) async fn status(&self) -> Result<api::App, ClientError> {
        self.ask(&self.base).await
    }

    /// One service.
    pub(super) async fn service(&self, service: &str) -> Result<api::Service, ClientError> {
        self.ask(&format!("{}/services/{service}", self.base)).await
    }

    /// The newest entries of the journal, `limit` at most, of one service or of all; older than `before`.
    pub(super) async fn history(
        &self,
        service: Option<&str>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<api::Entry>, ClientError> {
        let of = service.map_or_else(String::new, |service| format!("/services/{service}"));
        let mut entries = Vec::new();
        let mut before = before;
        while entries.len() < limit {
            let wanted = (limit - entries.len()).min(PAGE);
            let from = before.map_or_else(String::new, |before| format!("&before={before}"));
            let page: api::History = self
                .ask(&format!("{}{of}/history?limit={wanted}{from}", self.base))
                .await?;
            // A page without entries, or one that does not go on, is the last.
            let goes_on =
                !page.entries.is_empty() && page.next.is_some_and(|next| before.is_none_or(|at| next < at));
            entries.extend(page.entries);
            if !goes_on {
                break;
            }
            before = page.next;
        }
        entries.truncate(limit);
        Ok(entries)
    }

    /// Sends a component, which the host keeps.
    pub(super) async fn upload(&self, component: Bytes) -> Result<api::Stored, ClientError> {
        let path = format!("{}/components", self.base);
        let mut request = request(Method::PUT, &path, component);
        request.headers_mut().insert(CONTENT_TYPE, WASM);
        whole(&self.exchange, request, Wait::Long).await
    }

    /// Rolls components out.
    pub(super) async fn deploy(&self, deploy: &api::Deploy) -> Result<api::Outcome, ClientError> {
        self.change("/deploy", deploy).await
    }

    /// Puts a manifest in force.
    pub(super) async fn apply(&self, apply: &api::Apply) -> Result<api::Outcome, ClientError> {
        self.change("/apply", apply).await
    }

    /// Makes a candidate current, or gives it another share.
    pub(super) async fn promote(
        &self,
        service: &ServiceName,
        promote: &api::Promote,
    ) -> Result<api::Outcome, ClientError> {
        self.change(&format!("/services/{service}/promote"), promote)
            .await
    }

    /// Takes a candidate back.
    pub(super) async fn abort(&self, service: &ServiceName) -> Result<api::Outcome, ClientError> {
        #[derive(Serialize)]
        struct Nothing {}
        self.change(&format!("/services/{service}/abort"), &Nothing {})
            .await
    }

    /// Brings a revision of before back.
    pub(super) async fn rollback(
        &self,
        service: &ServiceName,
        rollback: &api::Rollback,
    ) -> Result<api::Outcome, ClientError> {
        self.change(&format!("/services/{service}/rollback"), rollback)
            .await
    }

    /// The events from now on.
    pub(super) async fn events(&self) -> Result<Events, ClientError> {
        let path = format!("{}/events", self.base);
        Ok(Events::new(self.stream(&path, EVENTS).await?))
    }

    /// Log lines of a service, each a JSON object.
    pub(super) async fn logs(
        &self,
        service: &ServiceName,
        query: &LogQuery<'_>,
    ) -> Result<Lines, ClientError> {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        if let Some(revision) = query.revision {
            pairs.append_pair("revision", revision);
        }
        if let Some(tail) = query.tail {
            pairs.append_pair("tail", &tail.to_string());
        }
        if query.follow {
            pairs.append_pair("follow", "true");
        }
        let path = match pairs.finish() {
            none if none.is_empty() => format!("{}/services/{service}/logs", self.base),
            pairs => format!("{}/services/{service}/logs?{pairs}", self.base),
        };
        self.stream(&path, NDJSON).await
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = request(Method::GET, path, Bytes::new());
        whole(&self.exchange, request, Wait::Short).await
    }

    async fn change<T: Serialize>(&self, path: &str, body: &T) -> Result<api::Outcome, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.exchange.not_understood(error))?;
        let mut request = request(Method::POST, &format!("{}{path}", self.base), body.into());
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        if let Some(by) = &self.by {
            request.headers_mut().insert(ACTOR, by.clone());
        }
        whole(&self.exchange, request, Wait::Long).await
    }

    async fn stream(&self, path: &str, kind: HeaderValue) -> Result<Lines, ClientError> {
        let mut request = request(Method::GET, path, Bytes::new());
        request.headers_mut().insert(ACCEPT, kind);
        let (head, body) = self.exchange.send(request, Wait::Short).await?.into_parts();
        if !head.status.is_success() {
            let body = self.exchange.whole(body).await?;
            return Err(refused(&self.exchange, head.status, &body));
        }
        Ok(Lines::new(body, self.exchange.place().address.clone()))
    }
}

/// Sends a request and reads the document that answers it.
async fn whole<T: DeserializeOwned>(
    exchange: &Exchange,
    request: Request<Full<Bytes>>,
    wait: Wait,
) -> Result<T, ClientError> {
    let (head, body) = exchange.send(request, wait).await?.into_parts();
    let body = exchange.whole(body).await?;
    if !head.status.is_success() {
        return Err(refused(exchange, head.status, &body));
    }
    serde_json::from_slice(&body).map_err(|error| exchange.not_understood(error))
}

fn refused(exchange: &Exchange, status: StatusCode, body: &[u8]) -> ClientError {
    let place = exchange.place();
    if status == StatusCode::UNAUTHORIZED {
        return ClientError::WrongToken {
            address: place.address.clone(),
            origin: place.token_origin.clone(),
        };
    }
    match serde_json::from_slice(body) {
        Ok(problem) => ClientError::Problem(Box::new(problem)),
        Err(_) => exchange.not_understood(format!("status {status} without a problem document")),
    }
}

fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    // A path of ours always is one: names are of letters, digits and `-`, or written with `%`.
    *request.uri_mut() = path.parse().unwrap_or_default();
    request
}
