//! Figures of the host process, from `/proc`. Where there is none, they are missing.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// Bytes of the process in RAM.
pub(super) fn resident_memory() -> Option<u64> {
    parse_resident(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Open file descriptors, the one for looking not counted.
pub(super) fn open_fds() -> Option<u64> {
    let entries = fs::read_dir("/proc/self/fd").ok()?.count();
    u64::try_from(entries).ok()?.checked_sub(1)
}

/// The soft limit of file descriptors, if there is one.
pub(super) fn max_fds() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    #[test]
    fn resident_memory_is_read_from_the_line_that_has_it() {
        let status = "Name:\tmidplane\nVmHWM:\t  9999 kB\nVmRSS:\t  1234 kB\nThreads:\t4\n";
        assert_eq!(super::parse_resident(status), Some(1234 * 1024));
        assert_eq!(super::parse_resident("Name:\tx\n"), None);
        assert_eq!(super::parse_resident("VmRSS:\tmany kB\n"), None);
    }
}
