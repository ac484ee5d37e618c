//! One request from its head to its response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming as IncomingBody;

use super::chain::Within;
use super::connection::Client;
use super::respond::{GatewayError, respond};
use super::tracked::{Exchange, Tracked};
use super::{Gateway, headers, well_known};
use crate::engine::{Body, Drive, Failure, RequestContext};
use crate::service::{Lease, Revision, Target};
use crate::telemetry::trace::{Incoming, RequestStart, TraceState};
use crate::telemetry::{self, RequestId, field};

/// How long a guest may go on with a body that is not sent: of a response to HEAD, or with a status that has none.
const HEAD_DRAIN: Duration = Duration::from_secs(10);

/// Answers a request, whatever it is.
pub(super) async fn answer(
    gateway: Arc<Gateway>,
    client: Arc<Client>,
    id: RequestId,
    request: Request<IncomingBody>,
) -> Response<Tracked> {
    let started = Instant::now();
    let incoming = Incoming::read(request.headers());
    let span = gateway.tracer.request(&RequestStart {
        method: request.method(),
        path: request.uri().path(),
        id,
        incoming: &incoming,
        started,
    });
    let mut exchange = Exchange {
        id,
        started,
        span,
        protocol: request.version(),
        logged: telemetry::access_enabled()
            .then(|| (request.method().clone(), request.uri().path().to_owned())),
        client,
        context: None,
    };
    let method = request.method().clone();
    let (response, lease) = match route(&gateway, &mut exchange, incoming.state, request).await {
        Ok((response, lease)) => (response, lease),
        Err(Refused { error, lease }) => {
            match &lease {
                None => gateway.metrics.rejected(error.reason()),
                // What is the guest's failure was counted where it was logged.
                Some(lease) if error.status().is_client_error() => {
                    lease.revision().metrics().error(error.reason());
                }
                Some(_) => {}
            }
            tracing::debug!(request_id = %exchange.id, error = %error, "answered with a problem");
            let mut response = respond(&error, exchange.id, &method).map(full);
            if exchange.protocol < Version::HTTP_2 && ends_connection(&error, &method) {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            (response, lease)
        }
    };
    let (mut parts, body) = response.into_parts();
    let status = parts.status;
    if status == StatusCode::NO_CONTENT {
        // RFC 9110 §8.6.
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    let is_bare =
        matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) && !body.is_end_stream();
    if method == Method::HEAD || is_bare {
        // Such a response has no body (RFC 9110 §6.4.1), but the guest that makes one is not cut off for it.
        if method == Method::HEAD {
            announce_length(&mut parts, &body);
        }
        let body = Tracked::new(body, exchange, lease, status);
        gateway.tasks.spawn("head", drain(body));
        return Response::from_parts(parts, Tracked::empty());
    }
    Response::from_parts(parts, Tracked::new(body, exchange, lease, status))
}

/// Whether nothing is read of an HTTP/1 connection any more after this: where a request is malformed, somebody before this
/// host may see its end in another place, and who asks for a tunnel may have begun to use it.
fn ends_connection(error: &GatewayError, method: &Method) -> bool {
    matches!(error, GatewayError::BadRequest { .. }) || method == Method::CONNECT
}

/// The answer to a request that the host itself failed at.
pub(super) fn panicked(gateway: &Gateway, id: RequestId, method: &Method) -> Response<Tracked> {
    gateway.metrics.rejected(GatewayError::Internal.reason());
    tracing::error!({ field::REQUEST_ID } = %id, message = "the host panicked while it answered a request");
    respond(&GatewayError::Internal, id, method).map(|body| Tracked::plain(full(body)))
}

/// Lets a guest send what nobody reads, for as long as a response to HEAD is worth.
async fn drain(mut body: Tracked) {
    let all = async { while let Some(Ok(_)) = body.frame().await {} };
    // What takes longer is cut, as it is when a client leaves.
    let _cut = tokio::time::timeout(HEAD_DRAIN, all).await;
}

/// A request that gets a problem in place of a response.
struct Refused {
    error: GatewayError,
    lease: Option<Lease>,
}

impl From<GatewayError> for Refused {
    fn from(error: GatewayError) -> Self {
        Self { error, lease: None }
    }
}

async fn route(
    gateway: &Arc<Gateway>,
    exchange: &mut Exchange,
    trace_state: Option<TraceState>,
    mut request: Request<IncomingBody>,
) -> Result<(Response<Body>, Option<Lease>), Refused> {
    check_head(gateway, &request)?;
    let authority = headers::authority(
        request.version(),
        request.uri(),
        request.headers(),
        &gateway.authority,
    )?;
    let path = request.uri().path();
    let view = gateway
        .registry
        .current()
        .enter(request.headers(), exchange.client.address.ip());
    if let Some(answered) = well_known::answer(request.method(), path, view.generation().info()) {
        return Ok((answered?.map(full), None));
    }
    let url = headers::absolute(request.uri(), &authority)?;
    let Some(found) = view.generation().routes().route(url.path()) else {
        return Err(GatewayError::NotFound.into());
    };
    exchange.span.route(&found.pattern.raw());
    let service = match found.target {
        Target::Static(response) => {
            let mut answer = Response::new(full(Full::new(response.body.clone())));
            *answer.status_mut() = response.status;
            *answer.headers_mut() = response.headers.clone();
            return Ok((answer, None));
        }
        Target::Service(service) => service,
    };
    let Some(revision) = view.revision(service) else {
        // A generation's routes lead to its own services only.
        return Err(GatewayError::Internal.into());
    };
    exchange.span.served_by(service, revision.id());
    // Before the lease: a head that cannot be passed on must not count as a request that was given up.
    headers::inject(request.headers_mut(), &url, &found, &exchange.client.header)?;
    let lease = lease(revision).await?;
    let limit = revision.limits().request_body;
    if request.body().size_hint().lower() > limit {
        return Err(Refused {
            error: GatewayError::BodyTooLarge { limit },
            lease: Some(lease),
        });
    }
    *request.uri_mut() = url;
    let program = revision.program().clone();
    let chain = Arc::new(Within::new(view.clone(), gateway.tracer.clone()));
    let mut context = RequestContext::entering(
        exchange.id,
        exchange.client.address,
        revision.service().clone(),
        revision.limits().timeout,
        chain,
        view.callees(),
    );
    context.trace = exchange.span.context();
    context.trace_state = trace_state;
    let context = Arc::new(context);
    exchange.context = Some(context.clone());
    match program
        .handle(request, context, Drive::Inline, lease.permit())
        .await
    {
        Ok(response) => Ok((response, Some(lease))),
        Err(failure) => Err(Refused {
            error: failure.into(),
            lease: Some(lease),
        }),
    }
}

fn check_head(gateway: &Gateway, request: &Request<IncomingBody>) -> Result<(), GatewayError> {
    let limit = gateway.settings.max_head_bytes;
    if headers::head_size(request.method(), request.uri(), request.headers()) > limit {
        return Err(GatewayError::HeadersTooLarge { limit: limit as u64 });
    }
    headers::framing(request.headers())?;
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return Err(GatewayError::MethodNotAllowed {
            allow: "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        });
    }
    Ok(())
}

pub(super) async fn lease(revision: &Arc<Revision>) -> Result<Lease, GatewayError> {
    revision.lease().await.map_err(|_| GatewayError::Overloaded {
        retry_after: revision.limits().queue_timeout,
    })
}

impl From<Failure> for GatewayError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Trapped | Failure::TooMuchCopied | Failure::NotInstantiated => Self::GuestFailed,
            Failure::NoResponse | Failure::NoHandler => Self::NoResponse,
            Failure::TimedOut(limit) => Self::Timeout { limit },
            Failure::OutOfCpu(_) => Self::CpuTime,
            Failure::ResponseTooLarge { .. } => Self::ResponseTooLarge,
            Failure::BodyTooLarge { limit } => Self::BodyTooLarge { limit },
            Failure::BodyTooSlow { limit } => Self::RequestTimeout { limit },
            Failure::BodyBroken => Self::BadRequest {
                detail: "The request's body is malformed or ended before its end.".into(),
            },
            Failure::NoInstance | Failure::OutOfMemory { .. } => Self::Overloaded {
                retry_after: Duration::from_secs(1),
            },
            Failure::Interrupted => Self::Interrupted,
            Failure::Host => Self::Internal,
        }
    }
}

fn full(body: Full<Bytes>) -> Body {
    body.map_err(|never| match never {}).boxed_unsync()
}

/// The length that the body would have.
fn announce_length(parts: &mut http::response::Parts, body: &Body) {
    if parts.status != StatusCode::NO_CONTENT
        && !parts.headers.contains_key(header::CONTENT_LENGTH)
        && let Some(length) = body.size_hint().exact()
    {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
}
