//! The short form of the swap storm: services are swapped, and manifests applied, under load over every protocol, with good
//! and bad components mixed. A judge that shares no code with the load decides from the journal; that it can tell is shown on
//! journals with violations in them (`check`).

mod check;
mod stamp;

use std::sync::Arc;

use midplane_storm::app::{self, Settings};
use midplane_storm::deck::{Bad, Deck, Guests};
use midplane_storm::figures::{self, Table};
use midplane_storm::host::{Target, token};
use midplane_storm::journal::Journal;
use midplane_storm::plan::Plan;
use midplane_storm::storm;

use crate::harness::{TestHost, fixture};

/// At least so many are sent.
const REQUESTS: u32 = 50_000;

/// As many changes are published at least, in every phase and over all.
const SWAPS: u64 = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_dropped_or_stale_while_services_are_swapped_and_manifests_applied() {
    let deck = Deck::read(&Guests {
        front_p2: fixture("storm-front-p2"),
        back_p2: fixture("storm-back-p2"),
        front_p3: fixture("storm-front-p3"),
        back_p3: fixture("storm-back-p3"),
        breaking: fixture("storm-back-breaking"),
        bare: fixture("hello-p2"),
    });
    let deck = deck.expect("the fixtures are components with stamps");
    let builder = TestHost::builder().arg("--quiet");
    let folder = builder.folder().to_owned();
    deck.write(&folder).expect("the folder is ours");
    let builder = builder.manifest(app::manifest(&folder, Settings { number: app::FIRST }, None));
    let host = builder.start().await;
    let target = Target {
        address: host.address,
        admin: host.admin,
        token: token(&folder.join("state")).expect("a host that serves has a token"),
        process: None,
    };

    let plan = Plan::short(REQUESTS);
    let journal = Arc::new(Journal::in_memory());
    let aftermath = storm::run(&target, deck, &folder, &plan, &journal).await;
    let aftermath = aftermath.expect("the storm goes on to its end");
    let figures = figures::of(&journal).expect("the journal is in memory");

    let report = &figures.report;
    let told = || {
        let table = Table {
            plan: &plan,
            figures: &figures,
            aftermath: &aftermath,
        };
        let remarks = &aftermath.remarks;
        format!("{report}{remarks:#?}\n{table}\n{}", host.log_text())
    };
    assert!(report.is_clean(), "{}", told());
    assert_eq!(aftermath.remarks, [], "{}", told());
    assert!(report.sent >= u64::from(REQUESTS), "{}", told());
    assert!(report.published >= SWAPS, "{}", told());
    for (way, requests, _) in figures.ways {
        assert!(requests > 0, "nothing went over {way:?}: {}", told());
    }
    for bad in Bad::ALL {
        assert!(aftermath.refusals.contains_key(&bad), "{bad:?}: {}", told());
    }
    let interrupted: u64 = aftermath.drains.iter().map(|drain| drain.interrupted).sum();
    assert_eq!((interrupted, aftermath.undrained), (0, 0), "{}", told());
    assert_eq!(aftermath.closed, 0, "connections are not touched: {}", told());
}
