//! Instances of a revision before anybody asks for one: what cannot be instantiated is found out before it is published, and
//! who comes first does not wait for it.
//!
//! What bounds it: no more instances than the service may have requests at once; the program's `timeout` for all of them
//! together, and its `cpu_time` for each.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Program;
use super::failure::Report;
use super::program::Instance;
use super::run::charged_up_to;

/// Why a program cannot be warmed: it would fail its first request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WarmError {
    /// Its start functions trapped, or something of it does not fit into an instance.
    #[error("it cannot be instantiated: {reason}")]
    NotInstantiated {
        /// What its panic said on standard error, or else what went wrong, in a line.
        reason: String,
        /// The Wasm frames, one a line; empty where there are none.
        backtrace: String,
    },
    /// Its start functions did not come to an end.
    #[error("its first instance did not come up within {limit:?}")]
    TimedOut {
        /// How long was waited: the `timeout` of the service.
        limit: Duration,
    },
    /// Its start functions computed for longer than a request may.
    #[error("its first instance took more than {limit:?} of CPU time to come up")]
    OutOfCpu {
        /// How much it may take: the `cpu_time` of the service.
        limit: Duration,
    },
    /// Every pool slot is taken by an instance that works. Says nothing about the program.
    #[error("no instance can be had now: {reason}")]
    NoInstance {
        /// Which bound of the pool is met.
        reason: String,
    },
}

impl Program {
    /// Makes so many instances, or as many as fit into the pool and the service's memory beside those that are there, at least one; for the first,
    /// the instance of some program that has waited longest makes room. Those that can be reused then wait for requests and
    /// calls; if none can, all of them are dropped, and have warmed their pool slots.
    ///
    /// # Errors
    /// If not one could be had, or one failed. It is not logged here, and not counted; what the guest wrote is in the log.
    pub async fn warm(&self, instances: usize) -> Result<(), WarmError> {
        let limit = self.limits.timeout;
        let until = Instant::now() + limit;
        let bound = usize::try_from(self.limits.concurrency.get()).unwrap_or(usize::MAX);
        let mut warmed: Vec<Instance> = Vec::new();
        for _ in 0..instances.min(bound) {
            let made = pin!(self.warm_one(warmed.is_empty()));
            // Cancel-safe: an instance that is given up goes with its Wasm store.
            let cpu = self.limits.cpu_time;
            let made = timeout_at(until, charged_up_to(cpu, made, &self.metrics)).await;
            let made = made.map(|made| made.unwrap_or_else(|| Err(Report::out_of_cpu(cpu))));
            match made {
                Ok(Ok(instance)) => warmed.push(instance),
                // One is proof enough.
                Ok(Err(report)) if report.is_for_lack_of_room() && !warmed.is_empty() => break,
                Err(_elapsed) if !warmed.is_empty() => break,
                Ok(Err(report)) => return Err(report.into_warm_error()),
                Err(_elapsed) => return Err(WarmError::TimedOut { limit }),
            }
        }
        for instance in warmed {
            self.keep_warm(instance);
        }
        Ok(())
    }

    async fn warm_one(&self, is_first: bool) -> Result<Instance, Report> {
        let mut instance = match is_first {
            true => self.instantiate().await?,
            false => self.try_instantiate().await?,
        };
        if self.has_handler() {
            instance.handler(self.code()?)?;
        }
        // What a start function began to write ends here.
        instance.store.data_mut().end();
        Ok(instance)
    }
}
