//! What the fuzz targets need of this module's inside. No part of the API: nothing else uses it, and it may change.

use http::uri::{Authority, Uri};
use http::{HeaderMap, Method};

use super::api::{Apply, Canary, Deploy, DeployOne, Promote, Rollback};
use super::problem::Fault;
use super::request::Query;
use super::{body, check, guard, request, router};
use crate::model::ServiceName;

/// The changes that say in a body of JSON what they want, as their paths end.
pub const CHANGES: [&str; 6] = [
    "deploy",
    "services/x/deploy",
    "services/x/canary",
    "services/x/promote",
    "services/x/rollback",
    "apply",
];

/// A body of JSON for one of [`CHANGES`], read and checked, and written again.
///
/// # Errors
/// The text of the problem.
pub fn change(change: usize, body: &[u8]) -> Result<Vec<u8>, String> {
    let checked = match change % CHANGES.len() {
        0 => body::parse::<Deploy>(body).and_then(|deploy| {
            check::deploy(&deploy)?;
            Ok(serde_json::to_vec(&deploy))
        }),
        1 => body::parse::<DeployOne>(body).and_then(|asked| {
            let written = serde_json::to_vec(&asked);
            let service = ServiceName::parse("x").map_err(|error| Fault::invalid(error.to_string()))?;
            check::deploy_one(&service, asked)?;
            Ok(written)
        }),
        2 => body::parse::<Canary>(body).and_then(|canary| {
            check::canary("", &canary)?;
            Ok(serde_json::to_vec(&canary))
        }),
        3 => body::parse::<Promote>(body).and_then(|promote| {
            check::promote(&promote)?;
            Ok(serde_json::to_vec(&promote))
        }),
        4 => body::parse::<Rollback>(body).and_then(|rollback| {
            check::rollback(&rollback)?;
            Ok(serde_json::to_vec(&rollback))
        }),
        _ => body::parse::<Apply>(body).and_then(|apply| {
            check::apply(&apply)?;
            Ok(serde_json::to_vec(&apply))
        }),
    };
    let written = checked.map_err(|fault| fault.to_string())?;
    written.map_err(|error| error.to_string())
}

/// The path of the route that a path leads to, with the names in it as they are written there, app first.
pub fn route(path: &str) -> Option<(&'static str, Option<&str>, Option<&str>)> {
    router::find(path).map(|(route, names)| (route.path, names.app, names.service))
}

/// Every route there is.
pub fn routes() -> impl Iterator<Item = &'static str> {
    router::ROUTES.iter().map(|route| route.path)
}

/// What `Allow` says of the route that a path leads to, and whether it takes the method.
pub fn takes(path: &str, method: &Method) -> Option<(String, bool)> {
    router::find(path).map(|(route, _)| (route.allowed(), route.takes(method)))
}

/// The name of a service from one segment of a path.
///
/// # Errors
/// The text of the problem.
pub fn service(segment: &str) -> Result<ServiceName, String> {
    request::service(segment).map_err(|fault| fault.to_string())
}

/// The options of an upload, from the query.
///
/// # Errors
/// The text of the problem.
pub fn upload(query: &str) -> Result<DeployOne, String> {
    let read = Query::parse(Some(query)).and_then(|mut query| {
        let options = check::deploy_options(&mut query)?;
        query.finish()?;
        Ok(options)
    });
    read.map_err(|fault| fault.to_string())
}

/// Who asks.
///
/// # Errors
/// The text of the problem.
pub fn actor(headers: &HeaderMap) -> Result<String, String> {
    request::actor(headers).map_err(|fault| fault.to_string())
}

/// Whom a request is for, if that can only be the admin listener.
///
/// # Errors
/// The text of the problem.
pub fn host(target: &Uri, headers: &HeaderMap) -> Result<Authority, String> {
    guard::host(target, headers).map_err(|fault| fault.to_string())
}

/// Whether a request is from no page, or from one of `host` itself.
///
/// # Errors
/// The text of the problem.
pub fn origin(headers: &HeaderMap, host: &Authority) -> Result<(), String> {
    guard::origin(headers, host).map_err(|fault| fault.to_string())
}
