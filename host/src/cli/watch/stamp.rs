//! Whether component files changed, by what the file system says of them: builds write them, and so does whoever copies one
//! into place, and events do not tell the two apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::scope::Scope;
use crate::model::ServiceName;

/// The component files of services, as they were seen last.
#[derive(Debug)]
pub(super) struct Stamps(BTreeMap<ServiceName, Vec<Option<Stamp>>>);

/// The state of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    written: (i64, i64),
}

impl Stamps {
    /// The files as they are now.
    pub(super) fn of(scope: &Scope) -> Self {
        let stamps = |files: Vec<std::path::PathBuf>| files.iter().map(|file| stamp(file)).collect();
        let components = scope.components().into_iter();
        Self(
            components
                .map(|(service, files)| (service, stamps(files)))
                .collect(),
        )
    }

    /// The services whose files are others than last time, and all there. The next time, those of now are the ones that
    /// were seen last.
    pub(super) fn changed(&mut self, scope: &Scope) -> BTreeSet<ServiceName> {
        let mut now = Self::of(scope);
        let mut changed = BTreeSet::new();
        for (service, stamps) in &mut now.0 {
            let before = self.0.get(service);
            if before == Some(stamps) {
                continue;
            }
            if stamps.iter().all(Option::is_some) {
                changed.insert(service.clone());
            } else if let Some(before) = before {
                // Whoever removed it is going to put another in its place, or the same one back.
                stamps.clone_from(before);
            }
        }
        *self = now;
        changed
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let meta = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    Some(Stamp {
        device: meta.dev(),
        inode: meta.ino(),
        bytes: meta.len(),
        written: (meta.mtime(), meta.mtime_nsec()),
    })
}
