//! The threads that compile components.
//!
//! Compiling takes seconds of every core that it gets, and requests are served meanwhile: so it has threads of its own, which
//! run at a low priority and leave one core alone where there are several. What bounds it: that many threads; components
//! that are compiled at once share them.

use std::num::NonZeroUsize;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::shutdown;

/// A low priority (`setpriority(2)`): against threads that serve and never rest, a third of their share. With the lowest one a
/// deploy would not come to its end on a host that is busy for good.
const NICE: i32 = 5;

/// The pool of threads.
pub(super) struct Compiler(ThreadPool);

impl Compiler {
    /// Starts the threads. They end when it is dropped.
    pub(super) fn start() -> std::io::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        ThreadPoolBuilder::new()
            .num_threads(threads(cores))
            .spawn_handler(|thread| {
                let started = shutdown::thread("midplane-compile", move || {
                    // Of this thread alone: on Linux, threads have priorities of their own.
                    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                        tracing::debug!(error = %error, "components are compiled at the priority of the host");
                    }
                    thread.run();
                });
                started.map(drop)
            })
            .build()
            .map(Self)
            .map_err(std::io::Error::other)
    }

    /// Runs `work` on one of the threads, and what it does in parallel on all of them. Blocks until it is done.
    pub(super) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

fn threads(cores: usize) -> usize {
    cores.saturating_sub(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_core_is_left_alone_where_there_are_several() {
        assert_eq!([0, 1, 2, 3, 16].map(threads), [1, 1, 1, 2, 15]);
    }

    #[test]
    fn what_runs_here_has_the_lowest_priority_and_nobody_else() {
        let priority = || rustix::process::getpriority_process(None).expect("a priority");
        let before = priority();
        let compiler = Compiler::start().expect("threads");
        assert_eq!(compiler.run(priority), NICE);
        let all = compiler.run(|| rayon::broadcast(|_| priority()));
        assert!(all.iter().all(|nice| *nice == NICE), "{all:?}");
        assert_eq!(priority(), before);
    }
}
