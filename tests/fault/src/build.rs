//! Builds what the program runs: the host, and the guests.

use std::path::PathBuf;

use midplane_storm::build;

pub use midplane_storm::build::{cache_folder, host};

use crate::fault::Fault;

/// The guests and the neighbours of these faults, built: the folder that has them.
///
/// # Errors
/// If they do not build.
pub fn guests(faults: &[&Fault]) -> anyhow::Result<PathBuf> {
    let mut names: Vec<_> = faults.iter().filter_map(|fault| fault.guest.fixture()).collect();
    names.extend(faults.iter().map(|fault| fault.neighbour.fixture()));
    names.sort_unstable();
    names.dedup();
    build::fixtures(&names)
}
