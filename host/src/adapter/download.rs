//! Components that a manifest names by URL and digest: fetched once, kept by digest.
//!
//! Layout: `<dir>/<digest>.wasm`, written whole (temporary file, sync, rename) by this user alone. The digest is checked before
//! anything is kept or used, and again whenever a copy is read, so that neither a server nor a disk can put another component
//! in its place. *Bounds*: the bytes of one download, and the time from the request to the last byte. At most
//! [`MAX_REDIRECTS`] redirects are followed, since release pages answer with them and the digest says what is right; none leads
//! from `https` to `http`. Messages show URLs without what could be a secret in them.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_LENGTH, LOCATION, USER_AGENT};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use url::Url;

use super::blocking::{Blocking, BlockingError};
use crate::capability::outbound_http::{Body, ClientOptions, HttpClient, HttpClientError};
use crate::model::Digest;

/// Redirects that one download follows.
pub const MAX_REDIRECTS: usize = 5;

/// A temporary file of this age belongs to nobody.
const LEFTOVER: Duration = Duration::from_secs(3600);

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

/// A component could not be had.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The directory of the copies cannot be used.
    #[error("cannot use the directory for downloads {}", path.display())]
    Directory {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else could put files there.
    #[error(
        "the directory for downloads {} is not ours alone (owner {owner}, mode {mode:o})",
        path.display()
    )]
    Shared {
        /// Where it is.
        path: PathBuf,
        /// The user id that owns it.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no URL that can be fetched.
    #[error("`{url}` is no URL of the scheme http or https")]
    Url {
        /// What stands there.
        url: String,
    },
    /// The server could not be asked, or did not answer to the end.
    #[error("cannot download {url}")]
    Exchange {
        /// The URL that was asked last.
        url: String,
        /// Why.
        source: HttpClientError,
    },
    /// The server has something else to say.
    #[error("cannot download {url}: the server answers {status}")]
    Status {
        /// The URL that was asked last.
        url: String,
        /// The answer.
        status: StatusCode,
    },
    /// A redirect leads nowhere, to a scheme that is not followed, or is one too many.
    #[error("cannot download {url}: {reason}")]
    Redirect {
        /// The URL that was asked last.
        url: String,
        /// What is wrong with where it leads.
        reason: &'static str,
    },
    /// It took too long.
    #[error("the download of {url} was not done within {} s", patience.as_secs_f64())]
    Timeout {
        /// The URL.
        url: String,
        /// How long it may take.
        patience: Duration,
    },
    /// There is more than there may be.
    #[error("what {url} gives is larger than {max_bytes} bytes")]
    TooLarge {
        /// The URL.
        url: String,
        /// The bound.
        max_bytes: u64,
    },
    /// It is not what the manifest says.
    #[error("what {url} gives has the digest sha256:{found}, and sha256:{expected} is expected")]
    Digest {
        /// The URL.
        url: String,
        /// What the manifest says.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// The copy cannot be written.
    #[error("cannot keep the download {}", path.display())]
    Keep {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The threads for files do not take the work.
    #[error("cannot read or keep the download of {url}")]
    Blocking {
        /// The URL.
        url: String,
        /// Why.
        source: BlockingError,
    },
}

impl DownloadError {
    /// What its reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Directory { .. } => "name a state directory that this user can write".into(),
            Self::Shared { path, .. } => format!("make it yours alone: `chmod 700 {}`", path.display()),
            Self::Url { .. } => "a file on this machine is named by its path".into(),
            Self::Digest { found, .. } => format!(
                "if this is the component that you mean, write `digest = \"sha256:{found}\"`; otherwise somebody put \
                 another in its place"
            ),
            Self::Keep { .. } => "free some space on its disk".into(),
            Self::Exchange { .. } | Self::Status { .. } | Self::Redirect { .. } | Self::Timeout { .. } => {
                "fetch the component by other means and name it by its path".into()
            }
            Self::TooLarge { .. } | Self::Blocking { .. } => return None,
        })
    }
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
        let unusable = |source| DownloadError::Directory {
            path: dir.clone(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)
            .map_err(unusable)?;
        let meta = fs::metadata(&dir).map_err(unusable)?;
        if meta.uid() != rustix::process::geteuid().as_raw() || meta.mode() & 0o022 != 0 {
            return Err(DownloadError::Shared {
                path: dir,
                owner: meta.uid(),
                mode: meta.mode() & 0o7777,
            });
        }
        remove_leftovers(&dir);
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
            .run(move || read_copy(&copy, digest, max_bytes))
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
            write_whole(&path, &bytes).map_err(|source| DownloadError::Keep { path, source })?;
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

/// The bytes of a copy, if it is there and is what it should be.
fn read_copy(path: &Path, digest: Digest, max_bytes: u64) -> Option<Vec<u8>> {
    let file = File::open(path).ok()?;
    let meta = file.metadata().ok()?;
    let mut bytes = Vec::new();
    let read = file.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes);
    if read.is_ok() && meta.is_file() && bytes.len() as u64 <= max_bytes && Digest::of(&bytes) == digest {
        return Some(bytes);
    }
    tracing::warn!(file = %path.display(), "a downloaded component is damaged and is fetched anew");
    None
}

/// A reader sees the old file or the new one, never a part.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // Hosts in containers may share the directory and have equal process ids.
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let own = (
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed),
        now.as_nanos(),
    );
    let temporary = path.with_extension(format!("{}-{}-{}.tmp", own.0, own.1, own.2));
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    })();
    if written.is_err() {
        // The error that counts is the first one; a left-over temporary file is never read.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Removes temporary files that a killed host left; another host may be writing one of the last hour.
fn remove_leftovers(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let age = entry
            .metadata()
            .and_then(|meta| meta.modified())
            .ok()
            .and_then(|time| time.elapsed().ok());
        if path.extension().is_some_and(|kind| kind == "tmp") && age.is_some_and(|age| age > LEFTOVER) {
            // If it cannot be removed it is only in the way of space; it is never read.
            let _ = fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests;
