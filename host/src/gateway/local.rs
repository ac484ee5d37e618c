//! Requests that come over no connection: routed, leased and answered as those of a listener are, and read whole.
//!
//! What bounds them: the limits of the service, and [`MAX_RESPONSE_BYTES`] of response.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, Limited};

use super::chain::Within;
use super::forward::lease;
use super::headers;
use super::respond::GatewayError;
use crate::engine::{Drive, RequestContext};
use crate::service::{Generation, Revision, Target, View};
use crate::telemetry::{RequestId, Tracer};

/// The longest response body that is read, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 256 * 1024 * 1024;

/// What requests that name no host are for, and where they come from.
const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 80);

/// Why a request has no response, or no whole one.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The gateway has none to give.
    #[error(transparent)]
    Refused(#[from] GatewayError),
    /// The body of the response broke off.
    #[error("the response, with the status {}, broke off within its body", status.as_u16())]
    Body {
        /// The status that was sent.
        status: http::StatusCode,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The response came whole, and then the guest failed.
    #[error("the guest failed after its response")]
    Afterwards,
}

/// Lets the service that the routes of `generation` say answer `request`. Without a host it is one for `127.0.0.1`.
///
/// # Errors
/// In place of the problem that a client would get, [`LocalError`].
pub async fn answer(
    generation: &Arc<Generation>,
    mut request: Request<Bytes>,
) -> Result<Response<Bytes>, LocalError> {
    let authority = headers::authority(
        http::Version::HTTP_10,
        request.uri(),
        request.headers(),
        "127.0.0.1",
    )?;
    let url = headers::absolute(request.uri(), &authority)?;
    let found = generation
        .routes()
        .route(url.path())
        .ok_or(GatewayError::NotFound)?;
    let service = match found.target {
        Target::Service(service) => service,
        Target::Static(response) => {
            let mut answer = Response::new(response.body.clone());
            *answer.status_mut() = response.status;
            *answer.headers_mut() = response.headers.clone();
            return Ok(answer);
        }
    };
    let view = generation.clone().without_candidates();
    let revision = view.revision(service).ok_or(GatewayError::Internal)?;
    headers::inject(request.headers_mut(), &url, &found, &client()?)?;
    *request.uri_mut() = url;
    send(&view, revision, request, MAX_RESPONSE_BYTES).await
}

/// Lets `revision` answer `request`, whose URI is absolute and whose headers are those that a guest sees, and reads at most
/// `max_bytes` of body.
///
/// # Errors
/// See [`answer`].
pub(super) async fn send(
    view: &View,
    revision: &Arc<Revision>,
    request: Request<Bytes>,
    max_bytes: usize,
) -> Result<Response<Bytes>, LocalError> {
    let started = Instant::now();
    let lease = lease(revision).await?;
    let limit = revision.limits().request_body;
    if u64::try_from(request.body().len()).is_ok_and(|bytes| bytes > limit) {
        return Err(GatewayError::BodyTooLarge { limit }.into());
    }
    let context = context_of(view, revision);
    let response = revision
        .program()
        .clone()
        .handle(
            request.map(Full::new),
            context.clone(),
            Drive::Inline,
            lease.permit(),
        )
        .await
        .map_err(GatewayError::from)?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, max_bytes)
        .collect()
        .await
        .map_err(|source| LocalError::Body {
            status: parts.status,
            source,
        })?;
    if context.progress.is_failed() {
        return Err(LocalError::Afterwards);
    }
    let verdict = context.progress.settle(parts.status);
    lease.finish(parts.status, started.elapsed(), verdict);
    Ok(Response::from_parts(parts, body.to_bytes()))
}

/// Where these requests come from, for their headers.
pub(super) fn client() -> Result<HeaderValue, GatewayError> {
    HeaderValue::try_from(HERE.to_string()).map_err(|_| GatewayError::Internal)
}

/// The context of something that enters at `revision` and came from no client.
pub fn context(generation: &Arc<Generation>, revision: &Revision) -> Arc<RequestContext> {
    context_of(&generation.clone().without_candidates(), revision)
}

fn context_of(view: &View, revision: &Revision) -> Arc<RequestContext> {
    Arc::new(RequestContext::entering(
        RequestId::next(),
        HERE,
        revision.service().clone(),
        revision.limits().timeout,
        Arc::new(Within::new(view.clone(), Tracer::disabled())),
        view.callees(),
    ))
}
