//! What bounds a service, and how its instances serve.
//!
//! *Invariant*: every bound holds even where the manifest says nothing: [`Limits::default`] and [`Instances::default`] have a
//! value for each. What no key sets is bounded by a constant where it is enforced.

use std::num::NonZeroU32;
use std::time::Duration;

use super::quantity::bytes_text;

const MIB: u64 = 1024 * 1024;

/// What one service may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of all instances of one revision together, in bytes.
    pub memory: u64,
    /// Linear memory of one instance, all its memories together, in bytes.
    pub instance_memory: u64,
    /// CPU time that one request may take at this service, work after its response included.
    pub cpu_time: Duration,
    /// Wall-clock time from the lease, or the last byte of the request's body, to the response's head, and after it without
    /// a byte of a body moving.
    pub timeout: Duration,
    /// Requests that run at the same time.
    pub concurrency: NonZeroU32,
    /// Requests that wait for a free place beyond `concurrency`.
    pub queue: u32,
    /// How long one request waits there.
    pub queue_timeout: Duration,
    /// Bytes of a request body.
    pub request_body: u64,
    /// Bytes of a response body. `None`: as many as its guest makes within its time.
    pub response_body: Option<u64>,
    /// Bytes of each database file and each key-value file. `None`: what the host allows.
    pub database_size: Option<u64>,
    /// The services that a request may have passed through, this one included.
    pub call_depth: NonZeroU32,
    /// Elements of each table of an instance. No key sets it.
    pub table_elements: u32,
}

impl Limits {
    /// The most that one instance can have, in bytes: what 32-bit addresses reach.
    pub const MAX_INSTANCE_MEMORY: u64 = 4 << 30;

    /// Each with the key that sets it, as the manifest would have it.
    pub fn shown(&self) -> [(&'static str, String); 11] {
        let Self {
            memory,
            instance_memory,
            cpu_time,
            timeout,
            concurrency,
            queue,
            queue_timeout,
            request_body,
            response_body,
            database_size,
            call_depth,
            // No key sets it.
            table_elements: _,
        } = self;
        let of_host = || "what the host allows".to_owned();
        [
            ("memory", bytes_text(*memory)),
            ("instance_memory", bytes_text(*instance_memory)),
            ("cpu_time", format!("{cpu_time:?}")),
            ("timeout", format!("{timeout:?}")),
            ("concurrency", concurrency.to_string()),
            ("queue", queue.to_string()),
            ("queue_timeout", format!("{queue_timeout:?}")),
            ("request_body", bytes_text(*request_body)),
            (
                "response_body",
                response_body.map_or_else(|| "unlimited".to_owned(), bytes_text),
            ),
            ("database_size", database_size.map_or_else(of_host, bytes_text)),
            ("call_depth", call_depth.to_string()),
        ]
    }

    /// Those of [`Self::shown`] that are not the default.
    pub fn set(&self) -> Vec<(&'static str, String)> {
        apart(self.shown(), Self::default().shown())
    }
}

fn apart<const KEYS: usize>(
    own: [(&'static str, String); KEYS],
    default: [(&'static str, String); KEYS],
) -> Vec<(&'static str, String)> {
    let pairs = own.into_iter().zip(default);
    pairs
        .filter(|(own, default)| own != default)
        .map(|(own, _)| own)
        .collect()
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 256 * MIB,
            instance_memory: 128 * MIB,
            cpu_time: Duration::from_secs(1),
            timeout: Duration::from_secs(30),
            concurrency: NonZeroU32::MIN.saturating_add(63),
            queue: 256,
            queue_timeout: Duration::from_secs(1),
            request_body: 10 * MIB,
            response_body: None,
            database_size: None,
            call_depth: NonZeroU32::MIN.saturating_add(15),
            table_elements: 100_000,
        }
    }
}

/// Whether an instance serves one request or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstancePolicy {
    /// One for each request.
    Fresh,
    /// One request after another.
    Reuse,
}

/// How the instances of one service serve HTTP requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instances {
    /// `None`: WASI 0.3 guests are reused, as they are made for it; WASI 0.2 guests are fresh.
    pub policy: Option<InstancePolicy>,
    /// After so many requests a reused instance goes.
    pub max_requests: NonZeroU32,
    /// Requests at once in one reused instance; more than one only for WASI 0.3 guests.
    pub concurrency: NonZeroU32,
    /// A reused instance that waited so long goes.
    pub idle: Duration,
}

impl InstancePolicy {
    /// As the manifest has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Reuse => "reuse",
        }
    }
}

impl Instances {
    /// Each setting with its key, as the manifest would have it.
    pub fn shown(&self) -> [(&'static str, String); 4] {
        let Self {
            policy,
            max_requests,
            concurrency,
            idle,
        } = self;
        let policy = policy.map_or("as its WASI version is used to", InstancePolicy::as_str);
        [
            ("policy", policy.to_owned()),
            ("max_requests", max_requests.to_string()),
            ("concurrency", concurrency.to_string()),
            ("idle", format!("{idle:?}")),
        ]
    }

    /// Those of [`Self::shown`] that are not the default.
    pub fn set(&self) -> Vec<(&'static str, String)> {
        apart(self.shown(), Self::default().shown())
    }
}

impl Default for Instances {
    fn default() -> Self {
        Self {
            policy: None,
            max_requests: NonZeroU32::MIN.saturating_add(999),
            concurrency: NonZeroU32::MIN,
            idle: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_manifest_does_not_say_is_bounded_all_the_same() {
        let limits = Limits::default();
        assert_eq!(
            (limits.memory, limits.instance_memory, limits.request_body),
            (256 * MIB, 128 * MIB, 10 * MIB)
        );
        assert_eq!(
            (limits.cpu_time, limits.timeout, limits.queue_timeout),
            (
                Duration::from_secs(1),
                Duration::from_secs(30),
                Duration::from_secs(1)
            )
        );
        assert_eq!(
            (limits.concurrency.get(), limits.queue, limits.call_depth.get()),
            (64, 256, 16)
        );
        assert_eq!((limits.response_body, limits.database_size), (None, None));
        assert!(limits.set().is_empty() && Instances::default().set().is_empty());
    }

    #[test]
    fn what_is_set_is_shown_as_the_manifest_has_it() {
        let limits = Limits {
            memory: 64 * MIB,
            cpu_time: Duration::from_millis(50),
            queue: 0,
            response_body: Some(1025),
            ..Limits::default()
        };
        let own = |key: &'static str, text: &str| (key, text.to_owned());
        assert_eq!(
            limits.set(),
            [
                own("memory", "64MiB"),
                own("cpu_time", "50ms"),
                own("queue", "0"),
                own("response_body", "1025B")
            ]
        );
        let instances = Instances {
            policy: Some(InstancePolicy::Reuse),
            ..Instances::default()
        };
        assert_eq!(instances.set(), [own("policy", "reuse")]);
    }
}
