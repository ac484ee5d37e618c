//! The HTTP entry: from a request to an operation of the domain, and from its outcome to a response.
//!
//! Generic over the ports, so that the tests drive it natively. The document `openapi.json` describes all of it; a
//! test holds the two together.

mod document;
mod outcome;

use auth_domain::{Auth, Client, Clock, Random, Store};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body::Body;
use rest::response::{ResponseExt, json_text, no_content};
use rest::{Problem, Response, Route, bearer, json};

use crate::app::OpenError;
use document::{AccountDocument, Credentials, RefreshRequest, TokenDocument};
pub(crate) use outcome::log;

/// The largest body that is read, in bytes.
const BODY_LIMIT: usize = 16 * 1024;

/// The header field in which the host names the peer of the connection.
const CLIENT_ADDRESS: &str = "spin-client-addr";

const DOCUMENT: &str = include_str!("../openapi.json");

pub(crate) static ROUTES: &[Route] = &[
    Route {
        method: Method::POST,
        path: "/auth/register",
        operation_id: "register",
    },
    Route {
        method: Method::POST,
        path: "/auth/login",
        operation_id: "login",
    },
    Route {
        method: Method::POST,
        path: "/auth/refresh",
        operation_id: "refresh",
    },
    Route {
        method: Method::POST,
        path: "/auth/logout",
        operation_id: "logout",
    },
    Route {
        method: Method::GET,
        path: "/auth/me",
        operation_id: "me",
    },
    Route {
        method: Method::GET,
        path: "/auth/jwks.json",
        operation_id: "jwks",
    },
    Route {
        method: Method::GET,
        path: "/auth/openapi.json",
        operation_id: "openapi",
    },
];

/// Answers a request. `open` gives the service, and is called only by operations that need it.
pub(crate) async fn handle<B, S, C, R>(
    request: Request<B>,
    open: impl AsyncFnOnce() -> Result<Auth<S, C, R>, OpenError>,
) -> Response
where
    B: Body<Data = Bytes>,
    S: Store,
    C: Clock,
    R: Random,
{
    answer(request, open).await.unwrap_or_else(Response::from)
}

async fn answer<B, S, C, R>(
    request: Request<B>,
    open: impl AsyncFnOnce() -> Result<Auth<S, C, R>, OpenError>,
) -> Result<Response, Problem>
where
    B: Body<Data = Bytes>,
    S: Store,
    C: Clock,
    R: Random,
{
    let found = rest::route(ROUTES, request.method(), request.uri().path())?;
    if found.operation_id == "openapi" {
        return Ok(json_text(StatusCode::OK, DOCUMENT).with_cache_control("no-cache"));
    }
    let client = client(request.headers());
    match found.operation_id {
        "register" => {
            let body: Credentials = rest::read_json(request, BODY_LIMIT).await?;
            let auth = open().await.map_err(outcome::not_open)?;
            let grant = auth
                .register(&body.email, &body.password, &client)
                .await
                .map_err(outcome::problem)?;
            Ok(granted(StatusCode::CREATED, grant).with_location("/auth/me"))
        }
        "login" => {
            let body: Credentials = rest::read_json(request, BODY_LIMIT).await?;
            let auth = open().await.map_err(outcome::not_open)?;
            let grant = auth
                .login(&body.email, &body.password, &client)
                .await
                .map_err(outcome::problem)?;
            Ok(granted(StatusCode::OK, grant))
        }
        "refresh" => {
            let body: RefreshRequest = rest::read_json(request, BODY_LIMIT).await?;
            let auth = open().await.map_err(outcome::not_open)?;
            let grant = auth
                .refresh(&body.refresh_token)
                .await
                .map_err(outcome::problem)?;
            Ok(granted(StatusCode::OK, grant))
        }
        "logout" => {
            let body: RefreshRequest = rest::read_json(request, BODY_LIMIT).await?;
            let auth = open().await.map_err(outcome::not_open)?;
            auth.logout(&body.refresh_token).await.map_err(outcome::problem)?;
            Ok(no_content())
        }
        "me" => {
            let token = bearer::token(request.headers())?;
            let auth = open().await.map_err(outcome::not_open)?;
            let account = auth.me(token).await.map_err(outcome::problem)?;
            let document = AccountDocument::from(account);
            Ok(json(StatusCode::OK, &document).with_cache_control("private, no-store"))
        }
        "jwks" => {
            let auth = open().await.map_err(outcome::not_open)?;
            let keys = auth.jwks().await.map_err(outcome::problem)?;
            Ok(json(StatusCode::OK, &keys).with_cache_control("public, max-age=60"))
        }
        // The table has no other.
        _ => Err(Problem::internal()),
    }
}

fn granted(status: StatusCode, grant: auth_domain::Grant) -> Response {
    json(status, &TokenDocument::from(grant)).with_cache_control("no-store")
}

fn client(headers: &HeaderMap) -> Client {
    Client::from_peer(headers.get(CLIENT_ADDRESS).and_then(|value| value.to_str().ok()))
}

#[cfg(test)]
mod tests;
