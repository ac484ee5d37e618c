//! What is looked at, and not changed.

use std::time::Duration;

use http::{Response, StatusCode};
use tokio::time::timeout;

use super::answer::{Body, json};
use super::api;
use super::control::{Refusal, RefusalKind};
use super::problem::Fault;
use super::router::Call;
use crate::model::ServiceName;

/// The longest time to look something up. The journal's disk may be slow.
const MAX_READ: Duration = Duration::from_secs(10);
/// How many entries of the journal a page has if nothing is said.
const PAGE: usize = 50;
/// The most entries of the journal on one page.
const MAX_PAGE: usize = 500;

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    Apps,
    App,
    Services,
    Service,
    Revisions,
    History,
    ServiceHistory,
    Routes,
    Links,
}

pub(super) async fn answer(read: Read, call: Call<'_>) -> Result<Response<Body>, Fault> {
    timeout(MAX_READ, found(read, call))
        .await
        .unwrap_or(Err(Fault::Late(MAX_READ.as_secs())))
}

async fn found(read: Read, mut call: Call<'_>) -> Result<Response<Body>, Fault> {
    let service = match read {
        Read::Service | Read::Revisions | Read::ServiceHistory => Some(call.service()?),
        _ => None,
    };
    let page = match read {
        Read::History | Read::ServiceHistory => Page::of(&mut call)?,
        _ => Page::default(),
    };
    let control = call.control;
    call.query.finish()?;
    let ok = StatusCode::OK;
    match (read, service) {
        (Read::Apps, _) => json(
            ok,
            &api::Apps {
                apps: vec![control.app()],
            },
        ),
        (Read::App, _) => json(ok, &control.status().await?),
        (Read::Routes, _) => json(ok, &control.routes()),
        (Read::Links, _) => json(ok, &control.links()),
        (Read::Service, Some(service)) => json(ok, &named(control.status().await?, &service)?),
        (Read::Services | Read::Service, _) => {
            let services = control.status().await?.services;
            json(ok, &api::Services { services })
        }
        (Read::Revisions, Some(service)) => json(ok, &control.revisions(service).await?),
        (Read::Revisions, None) => Err(Fault::NoApiResource),
        (Read::History | Read::ServiceHistory, service) => {
            let history = control.history(service, page.before, page.limit).await?;
            json(ok, &history)
        }
    }
}

/// The service of that name, which the path names.
pub(super) fn named(app: api::App, service: &ServiceName) -> Result<api::Service, Refusal> {
    let names: Vec<_> = app
        .services
        .iter()
        .map(|known| format!("`{}`", known.service))
        .collect();
    let unknown = format!("`{}` has no service `{service}`.", app.app);
    app.services
        .into_iter()
        .find(|known| known.service == service.as_str())
        .ok_or_else(|| {
            let refusal = Refusal::new(RefusalKind::NotFound, unknown);
            if names.is_empty() {
                return refusal;
            }
            refusal.with_hint(format!("Its services are {}.", names.join(", ")))
        })
}

/// Which entries of the journal are asked for.
#[derive(Default)]
struct Page {
    before: Option<u64>,
    limit: usize,
}

impl Page {
    fn of(call: &mut Call<'_>) -> Result<Self, Fault> {
        let before = call.query.value("before", "the number of an entry")?;
        let limit = call
            .query
            .value("limit", &format!("a number from 1 to {MAX_PAGE}"))?;
        match limit.unwrap_or(PAGE) {
            limit @ 1..=MAX_PAGE => Ok(Self { before, limit }),
            _ => Err(Fault::invalid(format!(
                "`limit` in the query must be a number from 1 to {MAX_PAGE}."
            ))),
        }
    }
}
