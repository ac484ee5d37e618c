//! The thread on which compiled code is dropped.
//!
//! The last drop of a component unmaps its code and purges its pool slots under a lock: tens of milliseconds that no
//! request should wait for.

use std::any::Any;
use std::sync::mpsc;

use crate::shutdown;

pub(super) struct Reaper {
    sender: mpsc::Sender<Box<dyn Any + Send>>,
}

impl Reaper {
    pub(super) fn start() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::channel::<Box<dyn Any + Send>>();
        shutdown::thread("midplane-reaper", move || {
            for garbage in receiver {
                drop(garbage);
            }
        })?;
        Ok(Self { sender })
    }

    /// Drops `garbage` on the reaper's thread, or here if that has ended.
    pub(super) fn reap(&self, garbage: impl Send + 'static) {
        // The queue is bounded by the number of revisions there ever are at once.
        let _dropped_here = self.sender.send(Box::new(garbage));
    }
}
