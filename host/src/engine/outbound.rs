//! The HTTP requests of a guest: checked against its grant, then sent out or to another service of the app.
//!
//! What bounds those that leave the app: so many of one revision at once, from asking to the end of the response's body, so that
//! no service can take all connections of the host; as many again wait for that, each as long as its guest would for a connection.

use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::Instant;
use wasmtime_wasi_http::{RequestOptions, WasiHttpHooks};

use super::context::{ChainError, Hop, RequestContext};
use super::program::Program;
use super::{Body, BodyError, Places};
use crate::capability::outbound_http::{ClientOptions, HttpClientError, Target};
use crate::capability::{Denials, Grants};
use crate::model::ServiceName;
use crate::telemetry::metrics::{OutboundOutcome, RevisionMetrics};

type Sent = Result<
    (
        http::Response<Body>,
        Box<dyn Future<Output = Result<(), BodyError>> + Send>,
    ),
    BodyError,
>;

/// Requests of one revision that leave the app, at once.
const MAX_REQUESTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(127);
/// Those that wait until there are fewer.
const MAX_WAITING: u32 = 128;
/// How long one waits, if its guest would wait longer for a connection.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// The places that one revision has for requests that leave the app.
pub(super) fn places() -> Arc<Places> {
    Arc::new(Places::new(MAX_REQUESTS, MAX_WAITING, MAX_WAIT))
}

/// One of [`places`].
struct Held(Arc<Places>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

/// The body of a response, which gives a place back at its end.
struct HeldBody {
    body: Body,
    held: Option<Held>,
}

impl http_body::Body for HeldBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.held = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The outbound side of one instance.
pub(super) struct Outbound {
    places: Arc<Places>,
    grants: Arc<Grants>,
    metrics: Arc<RevisionMetrics>,
    /// Where denied calls are told, those of every capability, so that one bound holds for all of them.
    pub(super) denials: Denials,
    /// The request that the instance works for.
    context: Option<Arc<RequestContext>>,
}

impl Outbound {
    pub(super) fn new(program: &Program) -> Self {
        Self {
            places: program.outbound.clone(),
            grants: program.grants.clone(),
            metrics: program.metrics.clone(),
            denials: Denials::new(program.service.clone(), program.revision),
            context: None,
        }
    }

    /// From now on the instance works for this request.
    pub(super) fn begin(&mut self, context: Arc<RequestContext>) {
        self.denials.begin(context.id);
        self.context = Some(context);
    }

    /// One more request is served beside those that are.
    pub(super) fn begin_another(&mut self) {
        self.denials.begin_another();
    }

    /// What is sent now is sent for this request, one of several that the instance works for.
    pub(super) fn attribute(&mut self, context: Option<Arc<RequestContext>>) {
        self.context = context;
    }

    /// The request is over.
    pub(super) fn end(&mut self) {
        self.context = None;
    }

    pub(super) fn context(&self) -> Option<&Arc<RequestContext>> {
        self.context.as_ref()
    }

    fn denied(&mut self, reason: &dyn std::fmt::Display) -> BodyError {
        self.metrics.outbound(OutboundOutcome::Denied);
        self.denials.refused(reason);
        BodyError::HttpRequestDenied
    }

    fn hop(
        &self,
        to: Hop,
        request: http::Request<Body>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, BodyError>> {
        match &self.context {
            Some(context) => {
                let called = context.chain.call(to, request, context);
                called
                    .map(|called| called.map_err(|error| chain_error(&error)))
                    .boxed()
            }
            // Only a guest that works for a request gets to call.
            None => ready(Err(BodyError::InternalError(Some(
                "no request is being served".into(),
            ))))
            .boxed(),
        }
    }

    fn out(
        &self,
        request: http::Request<Body>,
        options: Option<RequestOptions>,
    ) -> BoxFuture<'static, Result<http::Response<Body>, BodyError>> {
        let mut request = request.map(|body| body.map_err(|error| into_client_error(&error)).boxed_unsync());
        // A guest that takes part in a trace itself has said so.
        if let Some(context) = &self.context
            && let Some(trace) = context.trace
            && !request.headers().contains_key("traceparent")
        {
            trace.write(context.trace_state.as_ref(), request.headers_mut());
        }
        let options = client_options(options);
        let (grants, places) = (self.grants.clone(), self.places.clone());
        async move {
            let begun = Instant::now();
            let taken = places.take(begun.checked_add(options.connect_timeout)).await;
            let held = match taken {
                Ok(()) => Held(places),
                Err(_) => return Err(BodyError::ConnectionLimitReached),
            };
            let waited = begun.elapsed();
            let sent = grants.http_client.send(
                request,
                ClientOptions {
                    connect_timeout: options.connect_timeout.saturating_sub(waited),
                    ..options
                },
            );
            let response = sent.await.map_err(from_client_error)?;
            Ok(response.map(|body| {
                let body = body.map_err(from_client_error).boxed_unsync();
                // One without a body is over.
                let held = (!body.is_end_stream()).then_some(held);
                HeldBody { body, held }.boxed_unsync()
            }))
        }
        .boxed()
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        request: http::Request<Body>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), BodyError>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let scheme = request.uri().scheme_str().unwrap_or("https");
        let answered = match self
            .grants
            .outbound_http
            .authorize(scheme, request.uri().authority())
        {
            Err(denied) => ready(Err(self.denied(&denied))).boxed(),
            Ok(Target::External) => self.out(request, options),
            Ok(Target::Myself) => self.hop(Hop::App, request),
            Ok(Target::Internal(name)) => match ServiceName::parse(&name) {
                Ok(service) => self.hop(Hop::Service(service), request),
                Err(_) => ready(Err(BodyError::DestinationNotFound)).boxed(),
            },
        };
        let metrics = self.metrics.clone();
        Box::new(async move {
            let answered = answered.await;
            match &answered {
                Ok(_) => metrics.outbound(OutboundOutcome::Answered),
                Err(BodyError::HttpRequestDenied) => {}
                Err(_) => metrics.outbound(OutboundOutcome::Failed),
            }
            let done: Box<dyn Future<Output = Result<(), BodyError>> + Send> = Box::new(ready(Ok(())));
            answered.map(|response| (response, done))
        })
    }
}

fn client_options(options: Option<RequestOptions>) -> ClientOptions {
    let default = ClientOptions::default();
    let Some(options) = options else { return default };
    let or = |asked: Option<Duration>, default| asked.unwrap_or(default);
    ClientOptions {
        connect_timeout: or(options.connect_timeout, default.connect_timeout),
        first_byte_timeout: or(options.first_byte_timeout, default.first_byte_timeout),
        between_bytes_timeout: or(options.between_bytes_timeout, default.between_bytes_timeout),
    }
}

fn chain_error(error: &ChainError) -> BodyError {
    match error {
        ChainError::UnknownService(_) | ChainError::NoRoute => BodyError::DestinationNotFound,
        ChainError::TooDeep(_) => BodyError::LoopDetected,
        ChainError::NoHandler(_) | ChainError::Failed(super::Failure::Interrupted) => {
            BodyError::DestinationUnavailable
        }
        ChainError::Failed(super::Failure::TimedOut(_)) => BodyError::HttpResponseTimeout,
        ChainError::Failed(super::Failure::NoInstance | super::Failure::OutOfMemory { .. }) => {
            BodyError::ConnectionLimitReached
        }
        ChainError::Failed(super::Failure::BodyTooLarge { limit }) => {
            BodyError::HttpRequestBodySize(Some(*limit))
        }
        ChainError::Failed(super::Failure::BodyTooSlow { .. }) => BodyError::ConnectionReadTimeout,
        ChainError::Failed(super::Failure::BodyBroken) => BodyError::HttpProtocolError,
        ChainError::Failed(super::Failure::ResponseTooLarge { limit }) => {
            BodyError::HttpResponseBodySize(Some(*limit))
        }
        ChainError::Failed(failure) => BodyError::InternalError(Some(failure.to_string())),
    }
}

/// An error of the guest's own request body, as the client passes it on.
fn into_client_error(error: &BodyError) -> HttpClientError {
    match error {
        BodyError::HttpRequestBodySize(_) => HttpClientError::HttpRequestBodySize,
        other => HttpClientError::Internal {
            reason: other.to_string(),
        },
    }
}

fn from_client_error(error: HttpClientError) -> BodyError {
    match error {
        HttpClientError::DnsTimeout => BodyError::DnsTimeout,
        HttpClientError::DnsError { reason } => BodyError::DnsError {
            rcode: Some(reason),
            info_code: None,
        },
        HttpClientError::DestinationNotFound => BodyError::DestinationNotFound,
        HttpClientError::DestinationUnavailable { .. } => BodyError::DestinationUnavailable,
        HttpClientError::DestinationIpProhibited { .. } => BodyError::DestinationIpProhibited,
        HttpClientError::DestinationIpUnroutable => BodyError::DestinationIpUnroutable,
        HttpClientError::ConnectionRefused => BodyError::ConnectionRefused,
        HttpClientError::ConnectionTerminated => BodyError::ConnectionTerminated,
        HttpClientError::ConnectionTimeout => BodyError::ConnectionTimeout,
        HttpClientError::ConnectionReadTimeout => BodyError::ConnectionReadTimeout,
        HttpClientError::ConnectionLimitReached => BodyError::ConnectionLimitReached,
        HttpClientError::TlsProtocol { .. } => BodyError::TlsProtocolError,
        HttpClientError::TlsCertificate { .. } => BodyError::TlsCertificateError,
        HttpClientError::TlsAlertReceived { id, message } => BodyError::TlsAlertReceived {
            alert_id: Some(id),
            alert_message: Some(message),
        },
        HttpClientError::HttpRequestMethodInvalid => BodyError::HttpRequestMethodInvalid,
        HttpClientError::HttpRequestUriInvalid => BodyError::HttpRequestUriInvalid,
        HttpClientError::HttpRequestBodySize => BodyError::HttpRequestBodySize(None),
        HttpClientError::HttpResponseIncomplete => BodyError::HttpResponseIncomplete,
        HttpClientError::HttpResponseHeaderSectionSize => BodyError::HttpResponseHeaderSectionSize(None),
        HttpClientError::HttpResponseTimeout => BodyError::HttpResponseTimeout,
        HttpClientError::HttpProtocol { .. } => BodyError::HttpProtocolError,
        HttpClientError::Internal { reason } => BodyError::InternalError(Some(reason)),
    }
}
