//! What changes the app. A change that has begun goes on to its end even if its client leaves; that is the port's promise.

use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};
use tokio::time::timeout;

use super::answer::{Body, json};
use super::api::{self, Outcome, Stored};
use super::control::{Refusal, RefusalKind};
use super::problem::Fault;
use super::router::Call;
use super::{MAX_CHANGES, MAX_UPLOADS, body, check, read, request};
use crate::model::{ServiceName, Sticky};
use crate::telemetry::metrics::UploadOutcome;

/// How long an upload waits for others to end.
const MAX_UPLOAD_WAIT: Duration = Duration::from_secs(30);

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Store,
    Deploy,
    DeployOne,
    Canary,
    Promote,
    Abort,
    Rollback,
    Drain,
    Apply,
}

pub(super) async fn answer(
    change: Change,
    mut call: Call<'_>,
    body: Incoming,
) -> Result<Response<Body>, Fault> {
    let by = request::actor(call.headers)?;
    // Of uploads the options are in the query; everything else says in its body what it wants.
    let uploaded = match change {
        Change::DeployOne if body::is_of(call.headers, body::WASM) => {
            Some(check::deploy_options(&mut call.query)?)
        }
        _ => None,
    };
    std::mem::take(&mut call.query).finish()?;
    let _place = match change {
        // They are quick, and whoever takes a bad revision back does not wait for those who deploy others.
        Change::Abort | Change::Drain => None,
        _ => Some(place(&call)?),
    };
    let ok = StatusCode::OK;
    let headers = call.headers;
    let outcome = match change {
        Change::Store => {
            let stored = store(&call, body).await?;
            return json(StatusCode::CREATED, &stored);
        }
        Change::Drain => {
            body::none(headers, body).await?;
            let drained = call.control.drain(call.service()?).await?;
            return json(ok, &drained);
        }
        Change::Deploy => {
            let deploy = body::json(headers, body).await?;
            check::deploy(&deploy)?;
            call.control.deploy(deploy, by).await?
        }
        Change::DeployOne => {
            let asked = match uploaded {
                Some(options) => api::DeployOne {
                    component: Some(store(&call, body).await?.component),
                    ..options
                },
                None => body::json(headers, body).await?,
            };
            let deploy = check::deploy_one(&call.service()?, asked)?;
            call.control.deploy(deploy, by).await?
        }
        Change::Canary => {
            let canary: api::Canary = body::json(headers, body).await?;
            reweigh(&call, canary, by).await?
        }
        Change::Promote => {
            let promote = body::json_or_default(headers, body).await?;
            check::promote(&promote)?;
            call.control.promote(call.service()?, promote, by).await?
        }
        Change::Abort => {
            body::none(headers, body).await?;
            call.control.abort(call.service()?, by).await?
        }
        Change::Rollback => {
            let rollback = body::json_or_default(headers, body).await?;
            check::rollback(&rollback)?;
            call.control.rollback(call.service()?, rollback, by).await?
        }
        Change::Apply => {
            let apply = body::json(headers, body).await?;
            check::apply(&apply)?;
            call.control.apply(apply, by).await?
        }
    };
    json(ok, &outcome)
}

/// Keeps the component that the body is. Its bytes are in memory until it is kept, so only so many are at a time.
async fn store(call: &Call<'_>, body: Incoming) -> Result<Stored, Fault> {
    if !body::is_of(call.headers, body::WASM) {
        return Err(Fault::MediaType(body::WASM));
    }
    let stored = keep(call, body).await;
    let outcome = match &stored {
        Ok(_) => UploadOutcome::Stored,
        Err(fault) => {
            tracing::warn!("a component that was sent is not kept: {fault}");
            UploadOutcome::Refused
        }
    };
    call.server.state.metrics.upload(outcome);
    stored
}

async fn keep(call: &Call<'_>, body: Incoming) -> Result<Stored, Fault> {
    let _place = upload_place(call).await?;
    let component = body::component(call.headers, body, call.server.state.max_component_bytes).await?;
    Ok(call.control.store(component).await?)
}

/// Gives the candidate of a service another share.
async fn reweigh(call: &Call<'_>, canary: api::Canary, by: String) -> Result<Outcome, Fault> {
    let service = call.service()?;
    if let Some(asked) = check::canary("", &canary)? {
        let status = read::named(call.control.status().await?, &service)?;
        is_held(&service, &asked, status.candidate)?;
    }
    let promote = api::Promote {
        weight: Some(canary.weight),
        drain_timeout: None,
    };
    Ok(call.control.promote(service, promote, by).await?)
}

/// Whether a candidate's requests are held as it is asked. With another hold, clients would change sides while the share rises.
fn is_held(service: &ServiceName, asked: &Sticky, candidate: Option<api::Candidate>) -> Result<(), Refusal> {
    let Some(candidate) = candidate else {
        let detail = format!("`{service}` has no candidate.");
        return Err(Refusal::new(RefusalKind::NotFound, detail));
    };
    if Sticky::parse(&candidate.sticky).as_ref() == Ok(asked) {
        return Ok(());
    }
    let detail = format!(
        "Requests of the candidate of `{service}` are held by `{}`, and that does not change while it has a share.",
        candidate.sticky
    );
    let hint = format!("Leave `sticky` out, or abort the candidate and deploy it again with `{asked}`.");
    Err(Refusal::new(RefusalKind::Busy, detail).with_hint(hint))
}

/// One of the places for changes, so that there is always a connection left to look at the host.
fn place<'a>(call: &Call<'a>) -> Result<SemaphorePermit<'a>, Fault> {
    let place = call.server.changes.try_acquire();
    place.map_err(|_| Fault::Changes(MAX_CHANGES))
}

async fn upload_place(call: &Call<'_>) -> Result<OwnedSemaphorePermit, Fault> {
    let place = Arc::clone(&call.server.uploads).acquire_owned();
    match timeout(MAX_UPLOAD_WAIT, place).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(Fault::Uploads(MAX_UPLOADS)),
    }
}
