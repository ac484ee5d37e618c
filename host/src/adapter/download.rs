//! Components that a manifest names by URL and digest: fetched once, kept by digest.
//!
//! Layout: `<dir>/<digest>.wasm`, written whole (temporary file, sync, rename) by this user alone. The digest is checked before
//! anything is kept or used, and again whenever a copy is read, so that neither a server nor a disk can put another component
//! in its place. *Bounds*: the bytes of one download, and the time from the request to the last byte. At most
//! [`MAX_REDIRECTS`] redirects are followed, since release pages answer with them and the digest says what is right; none leads
//! from `https` to `http`. Messages show URLs without what could be a secret in them.

mod copies;
mod error;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, LOCATION, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use url::Url;

pub use self::error::DownloadError;
use super::blocking::Blocking;
use crate::capability::outbound_http::{Body, ClientOptions, HttpClient, HttpClientError};
use crate::model::Digest;

/// Redirects that one download follows.
pub const MAX_REDIRECTS: usize = 5;

/// What bounds a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadSettings {
    /// The most bytes that a component may have.
    pub max_bytes: u64,
    /// How long one download may take, redirects included.
    pub patience: Duration,
}

/// Fetches components and keeps them.
#[derive(Clone)]
pub struct Downloads {
    dir: PathBuf,
    client: Arc<dyn HttpClient>,
    blocking: Blocking,
    settings: DownloadSettings,
}

impl Downloads {
    /// Opens (and creates, mode 0700) the directory where copies are kept.
    ///
    /// # Errors
    /// [`DownloadError::Directory`] or [`DownloadError::Shared`].
    pub fn open(
        dir: PathBuf,
        client: Arc<dyn HttpClient>,
        blocking: Blocking,
        settings: DownloadSettings,
    ) -> Result<Self, DownloadError> {
        copies::open(&dir)?;
        Ok(Self {
            dir,
            client,
            blocking,
            settings,
        })
    }

    /// The component with that digest: the copy, or what `url` gives.
    ///
    /// # Errors
    /// [`DownloadError`], with the URL. A copy that is damaged is none: it is logged and fetched anew.
    pub async fn load(&self, url: &str, digest: Digest) -> Result<Vec<u8>, DownloadError> {
        let parsed = Url::parse(url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or_else(|| DownloadError::Url { url: shown_text(url) })?;
        let refused = |source| DownloadError::Blocking {
            url: shown(&parsed),
            source,
        };
        let path = self.dir.join(format!("{digest}.wasm"));
        let (copy, max_bytes) = (path.clone(), self.settings.max_bytes);
        let kept = self
            .blocking
            .run(move || copies::read(&copy, digest, max_bytes))
            .await;
        if let Some(bytes) = kept.map_err(refused)? {
            return Ok(bytes);
        }
        let patience = self.settings.patience;
        let bytes = tokio::time::timeout(patience, self.fetch(parsed.clone()))
            .await
            .map_err(|_| DownloadError::Timeout {
                url: shown(&parsed),
                patience,
            })??;
        let url = shown(&parsed);
        let stored = self.blocking.run(move || {
            let found = Digest::of(&bytes);
            if found != digest {
                return Err(DownloadError::Digest {
                    url,
                    expected: digest,
                    found,
                });
            }
            copies::write(&path, &bytes).map_err(|source| DownloadError::Keep { path, source })?;
            Ok(bytes)
        });
        stored.await.map_err(refused)?
    }

    /// Asks, follows redirects, and gathers the body.
    async fn fetch(&self, mut url: Url) -> Result<Vec<u8>, DownloadError> {
        for _ in 0..=MAX_REDIRECTS {
            let response = self.ask(&url).await?;
            match response.status() {
                StatusCode::OK => return self.gather(&url, response).await,
                StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT => url = follow(&url, response.headers())?,
                status => {
                    return Err(DownloadError::Status {
                        url: shown(&url),
                        status,
                    });
                }
            }
        }
        Err(DownloadError::Redirect {
            url: shown(&url),
            reason: "there are more than 5 redirects",
        })
    }

    async fn ask(&self, url: &Url) -> Result<Response<Body>, DownloadError> {
        let failed = |source| DownloadError::Exchange {
            url: shown(url),
            source,
        };
        let mut without_fragment = url.clone();
        without_fragment.set_fragment(None);
        let request = Request::get(without_fragment.as_str())
            .header(ACCEPT, "*/*")
            .header(USER_AGENT, concat!("midplane/", env!("CARGO_PKG_VERSION")))
            .body(
                Empty::<Bytes>::new()
                    .map_err(|never| match never {})
                    .boxed_unsync(),
            )
            .map_err(|_| failed(HttpClientError::HttpRequestUriInvalid))?;
        let response = self.client.send(request, ClientOptions::default()).await;
        response.map_err(failed)
    }

    async fn gather(&self, url: &Url, response: Response<Body>) -> Result<Vec<u8>, DownloadError> {
        let max_bytes = self.settings.max_bytes;
        let too_large = || DownloadError::TooLarge {
            url: shown(url),
            max_bytes,
        };
        let announced = response.headers().get(CONTENT_LENGTH);
        let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > max_bytes) {
            return Err(too_large());
        }
        let (mut body, mut bytes) = (response.into_body(), Vec::new());
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|source| DownloadError::Exchange {
                url: shown(url),
                source,
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if (bytes.len() + data.len()) as u64 > max_bytes {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes)
    }
}

/// Where a redirect leads.
fn follow(url: &Url, headers: &HeaderMap) -> Result<Url, DownloadError> {
    let refused = |reason| DownloadError::Redirect {
        url: shown(url),
        reason,
    };
    let next = headers
        .get(LOCATION)
        .and_then(|location| location.to_str().ok())
        .and_then(|location| url.join(location).ok())
        .ok_or_else(|| refused("it redirects without saying where to"))?;
    match (url.scheme(), next.scheme()) {
        (_, "https") | ("http", "http") => Ok(next),
        ("https", "http") => Err(refused("it redirects from https to http")),
        _ => Err(refused("it redirects to a scheme that is not http or https")),
    }
}

/// A URL for a message: without user, query and fragment, which may have secrets in them.
fn shown(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let query = if url.query().is_some() { "?…" } else { "" };
    format!(
        "{}://{}{port}{}{query}",
        url.scheme(),
        url.host_str().unwrap_or_default(),
        url.path()
    )
}

/// What is no URL to fetch, for a message.
fn shown_text(text: &str) -> String {
    match Url::parse(text) {
        Ok(url) if url.has_host() => shown(&url),
        _ => text.chars().take(200).flat_map(char::escape_debug).collect(),
    }
}

#[cfg(test)]
mod tests;
