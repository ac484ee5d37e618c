//! What the fuzz targets need of this module's inside. No part of the API: nothing else uses it, and it may change.

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, Version};

use super::headers;
use crate::model::route::RoutePattern;
use crate::service::router::Router;

/// The authority that a request is for, or what its client is told.
///
/// # Errors
/// The text of the problem.
pub fn authority(
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
    listener: &str,
) -> Result<Authority, String> {
    headers::authority(version, uri, headers, listener).map_err(|error| error.to_string())
}

/// The URI that a guest is shown.
///
/// # Errors
/// The text of the problem.
pub fn absolute(uri: &Uri, authority: &Authority) -> Result<Uri, String> {
    headers::absolute(uri, authority).map_err(|error| error.to_string())
}

/// Spin's headers of a request that passed this route; `false` if its path is not one of the route.
///
/// # Errors
/// The text of the problem.
pub fn inject(
    headers: &mut HeaderMap,
    url: &Uri,
    route: &RoutePattern,
    client: &HeaderValue,
) -> Result<bool, String> {
    let router = Router::new(vec![(route.clone(), ())]);
    let Some(found) = router.route(url.path()) else {
        return Ok(false);
    };
    headers::inject(headers, url, &found, client).map_err(|error| error.to_string())?;
    Ok(true)
}

/// The same for a request of one service to another.
///
/// # Errors
/// The text of the problem.
pub fn inject_chained(headers: &mut HeaderMap, url: &Uri, client: &HeaderValue) -> Result<(), String> {
    headers::inject_chained(headers, url, client).map_err(|error| error.to_string())
}
