//! What a process has of the machine, from `/proc`.

use std::fs;

use anyhow::Context as _;

/// The memory and the descriptors of a process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Resident memory in bytes.
    pub resident: u64,
    /// The part of it that no file backs, in bytes.
    pub anonymous: u64,
    /// Open descriptors.
    pub descriptors: u64,
}

/// Reads what a process has.
///
/// # Errors
/// If it has ended, or the system does not tell.
pub fn read(process: u32) -> anyhow::Result<Reading> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("the host has ended")?;
    let bytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    };
    let descriptors = fs::read_dir(format!("/proc/{process}/fd")).context("the host has ended")?;
    Ok(Reading {
        resident: bytes("VmRSS:").context("a process has memory")?,
        anonymous: bytes("RssAnon:").context("a process has memory of its own")?,
        descriptors: descriptors.count() as u64,
    })
}
