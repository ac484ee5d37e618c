//! What bounds a service, and how its instances serve.
//!
//! *Invariant*: every bound holds even where the manifest says nothing: [`Limits::default`] and [`Instances::default`] have a
//! value for each. What no key sets is bounded by a constant where it is enforced.

use std::num::NonZeroU32;
use std::time::Duration;

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
    }
}
