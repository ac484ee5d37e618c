//! Components that were uploaded and are not in use yet.
//!
//! What bounds them: [`MAX_UPLOADS`] of them, the oldest is forgotten first, and each after [`KEPT`].

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::adapter::content::Pin;
use crate::model::Digest;

/// Uploads that are remembered.
const MAX_UPLOADS: usize = 64;
/// How long each is.
const KEPT: Duration = Duration::from_secs(600);

#[derive(Default)]
pub(super) struct Uploads(VecDeque<(Instant, Pin)>);

impl Uploads {
    pub(super) fn add(&mut self, upload: Pin) {
        self.forget(Instant::now());
        self.0.retain(|(_, pin)| pin.digest() != upload.digest());
        if self.0.len() == MAX_UPLOADS {
            self.0.pop_front();
        }
        self.0.push_back((Instant::now(), upload));
    }

    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.0.iter().any(|(_, pin)| pin.digest() == *digest)
    }

    /// Forgets what nobody has used in time; whether there was any.
    pub(super) fn forget(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        self.0.retain(|(at, _)| now.saturating_duration_since(*at) < KEPT);
        self.0.len() < before
    }
}
