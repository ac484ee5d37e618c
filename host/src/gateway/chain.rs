//! Requests of one service to another, in process: `http://<id>.spin.internal/…`, and `http://self/…` by the app's routes.
//!
//! They stay within the generation that the first request entered by, and pass the same lease and the same limits as a request
//! from outside; what the caller may call was checked before.

use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;

use super::connection::Client;
use super::headers;
use super::respond::GatewayError;
use super::tracked::{Exchange, Tracked};
use crate::engine::{Body, Chain, ChainError, Drive, Failure, Hop, RequestContext};
use crate::model::ServiceName;
use crate::service::{Revision, Target, View};
use crate::telemetry::trace::{Incoming, RequestStart, SpanStatus, Tracer};

/// The services as one request sees them, for each other.
pub(super) struct Within {
    view: View,
    tracer: Tracer,
}

impl Within {
    pub(super) fn new(view: View, tracer: Tracer) -> Self {
        Self { view, tracer }
    }

    /// Whom `to` means, with the request's head made ready for it.
    fn resolve(
        &self,
        to: Hop,
        request: &mut Request<Body>,
        client: &HeaderValue,
    ) -> Result<Arc<Revision>, ChainError> {
        let url = request.uri().clone();
        let malformed = |_: GatewayError| ChainError::Failed(Failure::NoResponse);
        let service: ServiceName = match to {
            Hop::Service(service) => {
                headers::inject_chained(request.headers_mut(), &url, client).map_err(malformed)?;
                service
            }
            Hop::App => {
                let found = self
                    .view
                    .generation()
                    .routes()
                    .route(url.path())
                    .ok_or(ChainError::NoRoute)?;
                let Target::Service(service) = found.target else {
                    return Err(ChainError::NoRoute);
                };
                headers::inject(request.headers_mut(), &url, &found, client).map_err(malformed)?;
                service.clone()
            }
        };
        self.view
            .revision(&service)
            .cloned()
            .ok_or(ChainError::UnknownService(service))
    }
}

impl Chain for Within {
    fn call(
        &self,
        to: Hop,
        mut request: Request<Body>,
        caller: &Arc<RequestContext>,
    ) -> BoxFuture<'static, Result<Response<Body>, ChainError>> {
        let started = Instant::now();
        let Ok(header) = HeaderValue::try_from(caller.client.to_string()) else {
            return ready(Err(ChainError::Failed(Failure::Host))).boxed();
        };
        let revision = match self.resolve(to, &mut request, &header) {
            Ok(revision) => revision,
            Err(error) => return ready(Err(error)).boxed(),
        };
        let mut span = self.tracer.request(&RequestStart {
            method: request.method(),
            path: request.uri().path(),
            id: caller.id,
            incoming: &Incoming {
                context: caller.trace,
                state: caller.trace_state.clone(),
            },
            started,
        });
        span.served_by(revision.service(), revision.id());
        let mut context = match caller.next_hop(revision.service().clone(), revision.limits()) {
            Ok(context) => context,
            Err(too_deep) => {
                tracing::debug!(request_id = %caller.id, error = %too_deep, "a request to another service was refused");
                span.end(SpanStatus::Error("too_deep".into()));
                return ready(Err(too_deep.into())).boxed();
            }
        };
        context.trace = span.context();
        let context = Arc::new(context);
        Box::pin(async move {
            let lease = match revision.lease().await {
                Ok(lease) => lease,
                Err(_) => {
                    span.end(SpanStatus::Error("overload".into()));
                    return Err(ChainError::Failed(Failure::NoInstance));
                }
            };
            let exchange = Exchange {
                id: context.id,
                started,
                client: Arc::new(Client {
                    address: context.client,
                    header,
                }),
                protocol: request.version(),
                logged: None,
                span,
                context: Some(context.clone()),
            };
            // The caller's own event loop polls this future, so the callee must not run in it.
            let answered = revision
                .program()
                .clone()
                .handle(request, context, Drive::Task, lease.permit())
                .await;
            let response = match answered {
                Ok(response) => response,
                Err(Failure::NoHandler) => return Err(ChainError::NoHandler(revision.service().clone())),
                Err(failure) => {
                    let status = GatewayError::from(failure.clone()).status();
                    lease.finish(status, started.elapsed(), exchange.settle(status));
                    let mut exchange = exchange;
                    exchange.end_span(status);
                    return Err(ChainError::Failed(failure));
                }
            };
            let status = response.status();
            Ok(response.map(|body| Tracked::new(body, exchange, Some(lease), status).boxed_unsync()))
        })
    }
}
