//! The epoch clock: one thread that ticks both engines, so that a busy guest gives its worker thread back.
//!
//! It is a plain thread, because a guest that keeps every worker busy must not be able to stop it. It ends when the last
//! engine it ticks is gone.

use std::time::Duration;

use wasmtime::EngineWeak;

use crate::shutdown;

/// The longest that a guest runs before its worker thread may poll something else.
pub(super) const TICK: Duration = Duration::from_millis(5);

/// Starts the thread. It holds no engine alive.
pub(super) fn start(engines: Vec<EngineWeak>) -> std::io::Result<()> {
    shutdown::thread("midplane-epoch", move || {
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
        }
    })?;
    Ok(())
}
