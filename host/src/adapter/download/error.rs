//! Why a component could not be had.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;

use super::super::blocking::BlockingError;
use crate::capability::outbound_http::HttpClientError;
use crate::model::Digest;

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
