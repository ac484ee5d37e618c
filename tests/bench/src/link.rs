//! The app of the benchmark of live links: each caller and callee, linked and composed, under routes of its own.

use std::fmt::Write as _;
use std::path::Path;

/// The compiled guests.
#[derive(Debug, Clone, Copy)]
pub struct Guests<'a> {
    /// Calls the plain contract, on WASI 0.2.
    pub caller_p2: &'a Path,
    /// Calls both contracts, on WASI 0.3.
    pub caller_p3: &'a Path,
    /// Exports the plain contract, on WASI 0.2.
    pub callee_p2: &'a Path,
    /// Exports both contracts, on WASI 0.3.
    pub callee_p3: &'a Path,
}

/// What is sent and comes back.
pub const CASES: [&str; 7] = [
    "none",
    "record",
    "bytes-1k",
    "checked-bytes-1k",
    "nested-bytes-1k",
    "bytes-1m",
    "checked-bytes-1m",
];

/// A caller, a callee, and how the one calls the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// As tables show it.
    pub name: &'static str,
    /// The service that calls.
    service: &'static str,
    /// The contract.
    contract: &'static str,
    /// The way that is the same, composed. `None` for one that is composed itself.
    pub composed: Option<&'static str>,
}

impl Way {
    /// The path that makes so many calls of a case and answers the nanoseconds of all, and the median and the 99th
    /// percentile of those of one batch.
    pub fn path(&self, case: &str, calls: u64, batch: u64) -> String {
        format!("/{}/{}/{case}/{calls}?batch={batch}", self.service, self.contract)
    }
}

const COMPOSED_P2: &str = "composed p2";
const COMPOSED_P3: &str = "composed p3";
const COMPOSED_ASYNC: &str = "composed p3 async";

/// All ways there are.
pub const WAYS: [Way; 8] = [
    Way {
        name: "link p2 → p2",
        service: "p2-p2",
        contract: "plain",
        composed: Some(COMPOSED_P2),
    },
    Way {
        name: "link p2 → p3",
        service: "p2-p3",
        contract: "plain",
        composed: Some(COMPOSED_P2),
    },
    Way {
        name: "link p3 → p2",
        service: "p3-p2",
        contract: "plain",
        composed: Some(COMPOSED_P3),
    },
    Way {
        name: "link p3 → p3",
        service: "p3-p3",
        contract: "plain",
        composed: Some(COMPOSED_P3),
    },
    Way {
        name: "link p3 → p3 async",
        service: "p3-p3",
        contract: "waiting",
        composed: Some(COMPOSED_ASYNC),
    },
    Way {
        name: COMPOSED_P2,
        service: "p2-composed",
        contract: "plain",
        composed: None,
    },
    Way {
        name: COMPOSED_P3,
        service: "p3-composed",
        contract: "plain",
        composed: None,
    },
    Way {
        name: COMPOSED_ASYNC,
        service: "p3-composed",
        contract: "waiting",
        composed: None,
    },
];

/// The manifest. Every link has a time and a bound of its own, as the dearest would.
pub fn manifest(guests: Guests<'_>) -> String {
    let mut text =
        "spin_manifest_version = 2\n\n[application]\nname = \"link-bench\"\nversion = \"1.0.0\"\n".to_owned();
    let mut add = |tables: String| text.push_str(&tables);
    for service in ["p2-p2", "p2-p3", "p3-p2", "p3-p3", "p2-composed", "p3-composed"] {
        add(route(service));
    }
    add(component("callee-p2", guests.callee_p2));
    add(component("callee-p3", guests.callee_p3));
    for (service, source, links) in [
        ("p2-p2", guests.caller_p2, &[("plain", "callee-p2")][..]),
        ("p2-p3", guests.caller_p2, &[("plain", "callee-p3")]),
        (
            "p3-p2",
            guests.caller_p3,
            &[("plain", "callee-p2"), ("waiting", "callee-p3")],
        ),
        (
            "p3-p3",
            guests.caller_p3,
            &[("plain", "callee-p3"), ("waiting", "callee-p3")],
        ),
    ] {
        add(component(service, source));
        add(linked(service, links));
    }
    for (service, source, dependency) in [
        ("p2-composed", guests.caller_p2, guests.callee_p2),
        ("p3-composed", guests.caller_p3, guests.callee_p3),
    ] {
        add(component(service, source));
        add(format!(
            "[component.{service}.dependencies]\n\"link:bench@1.0.0\" = {{ path = {dependency:?} }}\n"
        ));
    }
    text
}

fn route(service: &str) -> String {
    format!("\n[[trigger.http]]\nroute = \"/{service}/...\"\ncomponent = \"{service}\"\n")
}

fn component(id: &str, source: &Path) -> String {
    format!("\n[component.{id}]\nsource = {source:?}\n")
}

fn linked(service: &str, links: &[(&str, &str)]) -> String {
    let mut table = format!("[component.{service}.tool.midplane.links]\n");
    for (contract, callee) in links {
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "\"link:bench/{contract}@1.0.0\" = {{ service = \"{callee}\", timeout = \"20s\", concurrency = 16 }}"
        );
    }
    table
}
