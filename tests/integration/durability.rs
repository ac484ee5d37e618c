//! What a host keeps when the worst comes: kills under load, a full disk, no descriptor left. The short form of the storm of
//! kills is here; that its judge can tell is shown on histories with violations in them (`check`).

mod check;
mod descriptor;
mod disk;

use std::sync::Arc;

use midplane_crash::app::{Components, FIXTURES, Sharing};
use midplane_crash::storm::{self, Ground, Plan};
use midplane_crash::table::Table;
use tempfile::TempDir;

use crate::harness::{binary, cache_folder, fixture};

/// Over both apps.
const KILLS: u32 = 12;

/// The moments differ from run to run all the same: nobody knows how far a host is by then.
const SEED: u64 = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost_when_the_host_is_killed() {
    let built = FIXTURES.map(fixture);
    let components = Components::read(built[0].parent().expect("a file is in a folder"));
    let folder = TempDir::with_prefix("midplane-crash-").expect("the system has a temporary folder");
    let cache = cache_folder();
    let ground = Ground {
        program: binary(),
        cache: &cache,
        folder: folder.path(),
        components: Arc::new(components.expect("the fixtures are components")),
    };
    let outcome = storm::run(&ground, &Plan::new(KILLS, SEED), |_, _| {}).await;
    let outcome = outcome.expect("the storm goes on to its end");

    let table = Table(&outcome).to_string();
    println!("{table}");
    assert!(outcome.is_clean(), "{table}");
    assert_eq!(outcome.kills + outcome.starting, KILLS, "{table}");
    assert!(outcome.deploying > 0 && outcome.starting > 0, "{table}");
    assert!(outcome.checked >= u64::from(KILLS) * 3, "{table}");
    for sharing in Sharing::ALL {
        for service in ["p2-a", "p2-b", "p3-a", "p3-b", "version"] {
            for kind in ["key-value", "sqlite", "journal"] {
                let of = outcome.counts.iter().filter(|(of, store, key, _)| {
                    *of == sharing && store.ends_with(kind) && key.starts_with(service)
                });
                let acknowledged: u64 = of.map(|(.., count)| count.acknowledged).sum();
                // What the manifest has is the first deploy.
                let fewest = u64::from(service == "version");
                let is_wanted = (service == "version") == (kind == "journal");
                assert_eq!(
                    acknowledged > fewest,
                    is_wanted,
                    "{service} {kind} {sharing:?}: {table}"
                );
            }
        }
    }
}
