//! Spans by OTLP over HTTP, as protobuf (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! Owns the encoding, one POST a batch, and what an answer means; when to send, and when again, is decided by
//! whoever calls the port. Goes through a client of its own: the receiver is the operator's choice, so what
//! guests may not reach does not matter here, and guests cannot use up its connections. Bounds: the client's
//! connections, the body of an answer, the text of a refusal.

mod message;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use prost::Message as _;

use self::message::{
    ExportRequest, ExportResponse, KeyValue, Refusal, Resource, ResourceSpans, Scope, ScopeSpans,
};
use super::http_client;
use crate::capability::outbound_http::{Body, ClientOptions, HttpClient};
use crate::telemetry::trace::{Accepted, Batch, ExportError, SpanExporter, TraceSettings};

/// The largest body of an answer that is read, in bytes. A longer one counts as empty.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The longest text of a refusal that is passed on to the log, in bytes.
const MAX_MESSAGE_BYTES: usize = 256;

/// Sends spans to the receiver that the settings name.
pub struct OtlpExporter {
    client: Arc<dyn HttpClient>,
    endpoint: Uri,
    headers: HeaderMap,
    timeout: Duration,
    resource: Resource,
}

impl OtlpExporter {
    /// An exporter to the receiver of `settings`. The client is best one with [`client_settings`].
    #[must_use]
    pub fn new(client: Arc<dyn HttpClient>, settings: &TraceSettings) -> Self {
        let mut headers = settings.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        headers
            .entry(USER_AGENT)
            .or_insert(HeaderValue::from_static(concat!(
                "midplane/",
                env!("CARGO_PKG_VERSION")
            )));
        let attributes = settings
            .resource
            .iter()
            .map(|(name, value)| KeyValue::text(name, value))
            .collect();
        Self {
            client,
            endpoint: settings.endpoint.clone(),
            headers,
            timeout: settings.timeout,
            resource: Resource { attributes },
        }
    }

    fn request(&self, batch: &Batch) -> Request<Body> {
        let message = ExportRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(Scope {
                        name: "midplane".to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                    }),
                    spans: batch.spans().map(|span| message::Span::of(span, batch)).collect(),
                }],
            }],
        };
        let body = Full::new(Bytes::from(message.encode_to_vec()));
        let mut request = Request::new(body.map_err(|never| match never {}).boxed_unsync());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.endpoint.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }

    async fn post(&self, batch: &Batch) -> Result<Accepted, ExportError> {
        let sent = self.client.send(self.request(batch), options(self.timeout)).await;
        let response = sent.map_err(|error| ExportError::Temporary {
            reason: error.to_string(),
            retry_after: None,
        })?;
        answer(response).await
    }
}

impl SpanExporter for OtlpExporter {
    fn export<'a>(&'a self, batch: &'a Batch) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(self.post(batch))
    }
}

/// Settings of a client for an exporter with these settings alone. `extra_roots` are certificates of authorities
/// in DER.
#[must_use]
pub fn client_settings(settings: &TraceSettings, extra_roots: Vec<Vec<u8>>) -> http_client::Settings {
    http_client::Settings {
        ceiling: options(settings.timeout),
        max_connections: 4,
        max_idle_per_host: 1,
        extra_roots,
        ..http_client::Settings::default()
    }
}

/// Each part of an attempt may take as long as the whole, which its caller bounds.
fn options(timeout: Duration) -> ClientOptions {
    ClientOptions {
        connect_timeout: timeout,
        first_byte_timeout: timeout,
        between_bytes_timeout: timeout,
    }
}

/// What the receiver means. The body is read in any case, so that the connection can be used again.
async fn answer(response: Response<Body>) -> Result<Accepted, ExportError> {
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    let body = body.map(|body| body.to_bytes()).unwrap_or_default();
    let is_protobuf = head
        .headers
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-protobuf"));
    if head.status.is_success() {
        // A receiver that says nothing has taken everything.
        let answer = ExportResponse::decode(body).ok().filter(|_| is_protobuf);
        let partial = answer
            .and_then(|answer| answer.partial_success)
            .unwrap_or_default();
        return Ok(Accepted {
            rejected: u64::try_from(partial.rejected_spans).unwrap_or(0),
            message: cut(&partial.error_message),
        });
    }
    let refusal = Refusal::decode(body)
        .ok()
        .filter(|_| is_protobuf)
        .unwrap_or_default();
    let mut reason = format!("the receiver answered {}", head.status);
    if !refusal.message.is_empty() {
        reason = format!("{reason}: {}", cut(&refusal.message));
    }
    Err(match head.status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => ExportError::Temporary {
            reason,
            retry_after: retry_after(&head.headers, SystemTime::now()),
        },
        _ => ExportError::Final { reason },
    })
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3); a date that is over means at once.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_MESSAGE_BYTES);
    text.get(..end).unwrap_or_default().to_owned()
}
