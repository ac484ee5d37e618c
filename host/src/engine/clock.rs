//! The epoch clock: one thread that ticks both engines, so that a busy guest gives its worker thread back.
//!
//! It is a plain thread, because a guest that keeps every worker busy must not be able to stop it. It ends when the last
//! engine it ticks is gone. It also lets [`Shares`] look, since that must not depend on a worker thread either.

use std::sync::Weak;
use std::time::{Duration, Instant};

use wasmtime::EngineWeak;

use super::share::{Shares, WINDOW};
use crate::shutdown;

/// The longest that a guest runs before its worker thread may poll something else.
pub(super) const TICK: Duration = Duration::from_millis(2);

/// Starts the thread. It holds no engine alive.
pub(super) fn start(engines: Vec<EngineWeak>, shares: Weak<Shares>) -> std::io::Result<()> {
    shutdown::thread("midplane-epoch", move || {
        let mut looked = Instant::now();
        loop {
            std::thread::sleep(TICK);
            let mut live = false;
            for engine in &engines {
                if let Some(engine) = engine.upgrade() {
                    engine.increment_epoch();
                    live = true;
                }
            }
            if !live {
                return;
            }
            if looked.elapsed() >= WINDOW
                && let Some(shares) = shares.upgrade()
            {
                looked = Instant::now();
                shares.look();
            }
        }
    })?;
    Ok(())
}
