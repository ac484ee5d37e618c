//! What the tests of one process share: the engines, and each component compiled once.
//!
//! Compiled components are also kept on disk, in `midplane-testing` beside the test binaries, so that the next run need not
//! compile them; `cargo clean` removes them. What bounds the rest: [`MAX_INSTANCES`] over all tests that run at the same time.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::Error;
use crate::engine::{self, Compiled, Engines};
use crate::model::{Digest, Limits};

/// Instances alive at once in each engine: of all tests of a process together.
pub(super) const MAX_INSTANCES: u32 = 256;

/// The largest linear memory that a test can give an instance, in bytes.
pub(super) const MAX_MEMORY: u64 = Limits::MAX_INSTANCE_MEMORY;

/// The engines of this process.
pub(super) fn engines() -> Result<Arc<Engines>, Error> {
    static ENGINES: OnceLock<Result<Arc<Engines>, Arc<engine::Error>>> = OnceLock::new();
    let engines = ENGINES.get_or_init(|| {
        let settings = engine::Settings {
            max_instances: MAX_INSTANCES,
            max_memory: MAX_MEMORY,
            max_table_elements: Limits::default().table_elements,
            // What a test says of its task (whose log, whose stubs) holds for the guest.
            fair_pool: false,
            ..engine::Settings::default()
        };
        Engines::new(settings, &cache()).map_err(Arc::new)
    });
    engines.clone().map_err(Error::Engines)
}

/// Beside the test binaries, which are in `target/<profile>/deps`: where this user builds, and nobody else may write.
fn cache() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap_or_default();
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder.join("midplane-testing")
}

type Slot = Arc<OnceLock<Result<Arc<Compiled>, Arc<engine::CompileError>>>>;

/// A component, compiled now if no other test has. Blocks for as long as that takes.
pub(super) fn compiled(engines: &Engines, bytes: &[u8]) -> Result<Arc<Compiled>, Error> {
    static COMPONENTS: Mutex<BTreeMap<Digest, Slot>> = Mutex::new(BTreeMap::new());
    let slot = COMPONENTS.lock().entry(Digest::of(bytes)).or_default().clone();
    // Another test that wants the same component waits here.
    let compiled = slot.get_or_init(|| engines.load(bytes, &|| {}).map(Arc::new).map_err(Arc::new));
    compiled.clone().map_err(Error::Compile)
}
