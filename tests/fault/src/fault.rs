//! The faults: what each is, what is done with it, and what must come of it.

use crate::made;

/// What the host may keep of a fault: the memory of idle pool slots that it keeps resident (64 MiB), and what its allocator does
/// not give back at once.
const KEPT: u64 = 96 << 20;

/// The same where something was compiled: the allocator keeps pages for each of the threads that do it.
const KEPT_OF_COMPILING: u64 = 192 << 20;

/// The component of a hostile service.
#[derive(Clone, Copy)]
pub enum Guest {
    /// A fixture, by its name.
    Fixture(&'static str),
    /// One that no compiler makes.
    Made(fn() -> anyhow::Result<Vec<u8>>),
}

impl Guest {
    /// The name of the fixture, if it is one.
    pub fn fixture(self) -> Option<&'static str> {
        match self {
            Self::Fixture(name) => Some(name),
            Self::Made(_) => None,
        }
    }
}

/// What is done while the neighbour is measured.
#[derive(Clone, Copy)]
pub enum Deed {
    /// So many clients ask the hostile service for these paths in turn. `{n}` is the number of the request, `{upstream}` the
    /// address of the listener.
    Ask {
        /// Clients, each with one request at a time.
        clients: usize,
        /// Paths below the route of the service.
        paths: &'static [&'static str],
    },
    /// This is deployed as the hostile service.
    Deploy(fn() -> anyhow::Result<Vec<u8>>),
}

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// It says hello.
    Hello,
    /// It looks into a key-value store of its own.
    Keys,
}

impl Neighbour {
    /// The fixture that it is.
    pub fn fixture(self) -> &'static str {
        match self {
            Self::Hello => "hello-p2",
            Self::Keys => "data-p2",
        }
    }

    /// What it is asked for.
    pub fn path(self) -> &'static str {
        match self {
            Self::Hello => "/neighbour",
            Self::Keys => "/neighbour/kv/default",
        }
    }
}

/// A metric that may have to grow: its name, and a label if it has one that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// `reason="trap"`, or nothing.
    pub label: &'static str,
    /// Whose it is.
    pub of: Whose,
}

/// Whose a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The hostile service's: that is among its labels.
    Service,
    /// The host's.
    Host,
}

/// Which of those things that clients may see somebody must see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Must {
    /// Each of the first so many.
    All(usize),
    /// At least one of the first so many: which one, the time decides.
    Any(usize),
}

/// What the log must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// No failure of a guest.
    NoFailure,
    /// A failure of at least one of these kinds.
    Failure(&'static [&'static str]),
    /// A line that says at least one of these things.
    Line(&'static [&'static str]),
}

/// One way to misbehave.
pub struct Fault {
    /// What it is called.
    pub name: &'static str,
    /// Who does it.
    pub guest: Guest,
    /// The tables of the service in the manifest. `{service}` is its name, `{other}` that of its accomplice, `{upstream}` the
    /// address of the listener.
    pub tables: &'static str,
    /// Whether there is a second service of its kind.
    pub has_accomplice: bool,
    /// Who is beside it.
    pub neighbour: Neighbour,
    /// What is done.
    pub deed: Deed,
    /// All that clients may see.
    pub seen: &'static [&'static str],
    /// What of that they must see.
    pub must: Must,
    /// What the log must show.
    pub log: Shown,
    /// What is counted: at least one of these must have grown.
    pub metrics: &'static [Metric],
}

impl Fault {
    /// The fault of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|fault| fault.name == name)
    }

    /// What of [`Self::seen`] is missing: each of these must be among it, or one of them.
    pub fn missing(&self, is_seen: impl Fn(&str) -> bool) -> Vec<&'static str> {
        let first = |count: usize| self.seen.iter().take(count).copied();
        match self.must {
            Must::All(count) => first(count).filter(|what| !is_seen(what)).collect(),
            Must::Any(count) if first(count).any(&is_seen) => Vec::new(),
            Must::Any(count) => first(count).collect(),
        }
    }

    /// Where it asks for too little: every fault has something that somebody must see, that the log must show, and that must
    /// be counted.
    pub fn weaknesses(&self) -> Vec<String> {
        let mut weaknesses = Vec::new();
        let (Must::All(count) | Must::Any(count)) = self.must;
        if count == 0 {
            weaknesses.push("nobody must see anything".to_owned());
        }
        if count > self.seen.len() {
            weaknesses.push("more must be seen than may be".to_owned());
        }
        if matches!(self.must, Must::Any(1)) {
            weaknesses.push("one of one is all of them".to_owned());
        }
        if let Must::Any(count) = self.must
            && self.seen.iter().take(count).any(|what| *what == BUSY)
        {
            weaknesses.push(format!("`{BUSY}` alone may come of anything"));
        }
        if matches!(self.log, Shown::Failure([]) | Shown::Line([])) {
            weaknesses.push("the log need not show anything".to_owned());
        }
        if self.metrics.is_empty() {
            weaknesses.push("nothing need be counted".to_owned());
        }
        for Metric { name, .. } in self.metrics {
            // It grows with every request, whatever comes of it.
            if matches!(*name, "midplane_cpu_seconds_total" | "midplane_requests_total") {
                weaknesses.push(format!("{name} grows without a fault too"));
            }
        }
        weaknesses
    }

    /// What the host may keep of it when it is over, in bytes.
    pub fn kept(&self) -> u64 {
        match self.deed {
            Deed::Ask { .. } => KEPT,
            Deed::Deploy(_) => KEPT_OF_COMPILING,
        }
    }

    /// Whether a request of it goes through several instances, each of which may fail.
    pub fn spreads(&self) -> bool {
        self.has_accomplice
    }
}

/// Limits that show an effect soon. All others are as they are by default.
macro_rules! limits {
    ($($more:literal)*) => {
        concat!(
            "[component.{service}.tool.midplane.limits]\ncpu_time = \"200ms\"\ntimeout = \"1s\"\n",
            $($more, "\n",)*
        )
    };
}

const fn of_service(name: &'static str, label: &'static str) -> Metric {
    Metric {
        name,
        label,
        of: Whose::Service,
    }
}

const fn of_host(name: &'static str, label: &'static str) -> Metric {
    Metric {
        name,
        label,
        of: Whose::Host,
    }
}

const fn errors(label: &'static str) -> Metric {
    of_service("midplane_errors_total", label)
}

const TRAPS: &[Metric] = &[of_service("midplane_traps_total", "")];

/// Of a guest that computes: whoever gets too little of the machine meets the other limit first.
const TIMES: &[Metric] = &[errors("reason=\"cpu_time\""), errors("reason=\"timeout\"")];

const FAILED_OUTBOUND: &[Metric] = &[of_service(
    "midplane_outbound_requests_total",
    "outcome=\"failed\"",
)];

const FULL: Metric = of_service("midplane_data_refusals_total", "reason=\"full\"");

const PUBLISHED: &[Metric] = &[of_host("midplane_rollouts_total", "outcome=\"published\"")];

const REFUSED: &[Metric] = &[of_host("midplane_rollouts_total", "outcome=\"refused\"")];

/// How many places a service has where all of them are to be taken.
const CONCURRENCY: usize = 16;

/// What anybody may see of a service that is busy.
const BUSY: &str = "503 overloaded";

/// All of them.
pub static ALL: &[Fault] = &[
    Fault {
        name: "endless loop",
        guest: Guest::Fixture("hostile-loop"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 1,
            paths: &["/"],
        },
        seen: &["500 cpu-time", "504 timeout"],
        must: Must::All(1),
        log: Shown::Failure(&["cpu-time"]),
        metrics: &[errors("reason=\"cpu_time\"")],
    },
    Fault {
        name: "endless loops at every place",
        guest: Guest::Fixture("hostile-loop"),
        tables: limits!("concurrency = 16"),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: CONCURRENCY,
            paths: &["/"],
        },
        seen: &["500 cpu-time", "504 timeout", BUSY],
        must: Must::Any(2),
        log: Shown::Failure(&["cpu-time", "timeout"]),
        metrics: TIMES,
    },
    Fault {
        name: "endless loop, WASI 0.3",
        guest: Guest::Fixture("hostile-loop-p3"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 2,
            paths: &["/"],
        },
        seen: &["500 cpu-time", "504 timeout"],
        must: Must::All(1),
        log: Shown::Failure(&["cpu-time"]),
        metrics: &[errors("reason=\"cpu_time\"")],
    },
    Fault {
        name: "allocation without end",
        guest: Guest::Fixture("hostile-hoard"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/"],
        },
        seen: &["500 guest-failed", "500 cpu-time", "504 timeout", BUSY],
        must: Must::All(1),
        log: Shown::Failure(&["memory"]),
        metrics: &[errors("reason=\"trap\"")],
    },
    Fault {
        name: "all memory of the service held",
        guest: Guest::Fixture("hostile-hoard"),
        tables: "[component.{service}.tool.midplane.limits]\ntimeout = \"5s\"\n",
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 8,
            paths: &["/hold"],
        },
        seen: &["200 refused", BUSY, "500 guest-failed", "500 cpu-time"],
        must: Must::All(1),
        log: Shown::Line(&["the limit `memory`"]),
        metrics: &[of_service("midplane_memory_refusals_total", "")],
    },
    Fault {
        name: "table growth",
        guest: Guest::Made(made::tables),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/"],
        },
        seen: &["500 guest-failed", BUSY],
        must: Must::All(1),
        log: Shown::Failure(&["trap"]),
        metrics: TRAPS,
    },
    Fault {
        name: "many memories at once",
        guest: Guest::Made(made::memories),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 64,
            paths: &["/"],
        },
        seen: &["500 cpu-time", "504 timeout", BUSY],
        must: Must::Any(2),
        log: Shown::Failure(&["cpu-time", "timeout"]),
        metrics: TIMES,
    },
    Fault {
        name: "deep recursion",
        guest: Guest::Fixture("hostile-recursion"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/"],
        },
        seen: &["500 guest-failed"],
        must: Must::All(1),
        log: Shown::Failure(&["trap"]),
        metrics: TRAPS,
    },
    Fault {
        name: "trap before the head",
        guest: Guest::Fixture("hostile-trap"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/before"],
        },
        seen: &["500 guest-failed"],
        must: Must::All(1),
        log: Shown::Failure(&["trap"]),
        metrics: TRAPS,
    },
    Fault {
        name: "trap after the head",
        guest: Guest::Fixture("hostile-trap"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/after"],
        },
        seen: &["200 cut"],
        must: Must::All(1),
        log: Shown::Failure(&["trap"]),
        metrics: TRAPS,
    },
    Fault {
        name: "handle leak",
        guest: Guest::Fixture("hostile-handles"),
        tables: concat!("files = [\"file\"]\n", limits!()),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/fields", "/timers", "/files"],
        },
        seen: &["500 guest-failed"],
        must: Must::All(1),
        log: Shown::Failure(&["trap"]),
        metrics: TRAPS,
    },
    Fault {
        name: "never-ending response",
        guest: Guest::Fixture("hostile-stream"),
        tables: limits!("response_body = \"1MiB\""),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/rush"],
        },
        seen: &["200 cut"],
        must: Must::All(1),
        log: Shown::Failure(&["response-too-large"]),
        metrics: &[errors("reason=\"response_too_large\"")],
    },
    Fault {
        name: "response slower than the client",
        guest: Guest::Fixture("hostile-stream"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 8,
            paths: &["/drip"],
        },
        seen: &["200 cut"],
        must: Must::All(1),
        log: Shown::Failure(&["timeout"]),
        metrics: &[errors("reason=\"timeout\"")],
    },
    Fault {
        name: "log flood",
        guest: Guest::Fixture("hostile-log"),
        tables: "[component.{service}.tool.midplane.limits]\ncpu_time = \"1s\"\n",
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/lines", "/line"],
        },
        seen: &["200 written", "500 cpu-time", "504 timeout"],
        must: Must::All(1),
        log: Shown::Line(&["more output dropped"]),
        metrics: &[of_service("midplane_guest_log_lines_dropped_total", "")],
    },
    Fault {
        name: "header of 1 MB, response",
        guest: Guest::Fixture("hostile-header"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/response"],
        },
        seen: &["500 guest-failed"],
        must: Must::All(1),
        log: Shown::Failure(&["trap"]),
        metrics: TRAPS,
    },
    Fault {
        name: "header of 1 MB, outbound",
        guest: Guest::Fixture("hostile-header"),
        tables: concat!("allowed_outbound_hosts = [\"http://{upstream}\"]\n", limits!()),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/request?from={upstream}", "/received?from={upstream}"],
        },
        seen: &["500 guest-failed", "200 refused"],
        must: Must::All(2),
        log: Shown::Failure(&["trap"]),
        metrics: FAILED_OUTBOUND,
    },
    Fault {
        name: "thousands of sockets",
        guest: Guest::Fixture("hostile-connections"),
        tables: concat!(
            "allowed_outbound_hosts = [\"*://{upstream}\"]\n",
            "[component.{service}.tool.midplane.limits]\ntimeout = \"5s\"\n"
        ),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 64,
            paths: &["/sockets?to={upstream}"],
        },
        seen: &["200 refused", "500 cpu-time", BUSY, "504 timeout"],
        must: Must::All(1),
        log: Shown::Line(&["a socket was refused"]),
        metrics: &[of_service("midplane_descriptor_refusals_total", "")],
    },
    Fault {
        name: "thousands of outbound requests",
        guest: Guest::Fixture("hostile-connections"),
        tables: concat!(
            "allowed_outbound_hosts = [\"*://{upstream}\"]\n",
            "[component.{service}.tool.midplane.limits]\ntimeout = \"5s\"\n"
        ),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 8,
            paths: &["/requests?to={upstream}"],
        },
        seen: &["200 refused", "500 cpu-time", BUSY, "504 timeout"],
        must: Must::All(1),
        log: Shown::Line(&[" were refused"]),
        metrics: FAILED_OUTBOUND,
    },
    Fault {
        name: "recursive SQL",
        guest: Guest::Fixture("hostile-sql"),
        tables: concat!(
            "sqlite_databases = [\"default\"]\n",
            limits!("database_size = \"4MiB\"")
        ),
        has_accomplice: false,
        neighbour: Neighbour::Keys,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/forever"],
        },
        seen: &["504 timeout", "500 cpu-time"],
        must: Must::Any(2),
        log: Shown::Failure(&["cpu-time", "timeout"]),
        metrics: TIMES,
    },
    Fault {
        name: "huge results of SQL",
        guest: Guest::Fixture("hostile-sql"),
        tables: concat!(
            "sqlite_databases = [\"default\"]\n",
            limits!("database_size = \"4MiB\"")
        ),
        has_accomplice: false,
        neighbour: Neighbour::Keys,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/rows", "/row", "/write"],
        },
        seen: &["200 refused", "504 timeout", "500 cpu-time"],
        must: Must::All(1),
        log: Shown::Line(&["DatabaseFull", "returns more than"]),
        metrics: &[
            FULL,
            of_service("midplane_data_refusals_total", "reason=\"too_large\""),
        ],
    },
    Fault {
        name: "key-value flood",
        guest: Guest::Fixture("hostile-keys"),
        tables: concat!(
            "key_value_stores = [\"default\"]\n",
            limits!("database_size = \"4MiB\"")
        ),
        has_accomplice: false,
        neighbour: Neighbour::Keys,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/large", "/many"],
        },
        seen: &["200 refused", "504 timeout", "500 cpu-time"],
        must: Must::All(1),
        log: Shown::Line(&["full"]),
        metrics: &[FULL],
    },
    Fault {
        name: "odd arguments",
        guest: Guest::Fixture("hostile-arguments"),
        tables: concat!(
            "files = [\"file\"]\nkey_value_stores = [\"default\"]\nsqlite_databases = [\"default\"]\n",
            "allowed_outbound_hosts = [\"*://127.0.0.1:1\"]\n",
            limits!("database_size = \"4MiB\"")
        ),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 8,
            paths: &["/typed?seed={n}", "/raw?seed={n}"],
        },
        seen: &[
            "200 done",
            "500 guest-failed",
            "500 cpu-time",
            "504 timeout",
            BUSY,
        ],
        must: Must::All(2),
        log: Shown::Failure(&["trap"]),
        metrics: TRAPS,
    },
    Fault {
        name: "fork bomb of calls",
        guest: Guest::Fixture("hostile-fork"),
        tables: FORK,
        has_accomplice: true,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/calls"],
        },
        seen: &[
            "500 cpu-time",
            "504 timeout",
            "200 refused",
            BUSY,
            "500 guest-failed",
        ],
        must: Must::Any(3),
        log: Shown::Failure(&["cpu-time", "timeout", "trap"]),
        metrics: &[
            of_service("midplane_link_calls_total", "outcome=\"too_deep\""),
            of_service("midplane_link_calls_total", "outcome=\"cpu_time\""),
            of_service("midplane_link_calls_total", "outcome=\"timeout\""),
        ],
    },
    Fault {
        name: "fork bomb of requests",
        guest: Guest::Fixture("hostile-fork"),
        tables: FORK,
        has_accomplice: true,
        neighbour: Neighbour::Hello,
        deed: Deed::Ask {
            clients: 4,
            paths: &["/requests"],
        },
        seen: &["200 answered", "200 refused", "500 cpu-time", "504 timeout", BUSY],
        must: Must::Any(4),
        log: Shown::Failure(&["cpu-time", "timeout"]),
        metrics: FAILED_OUTBOUND,
    },
    Fault {
        name: "component of 100 MB",
        guest: Guest::Fixture("hostile-trap"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Deploy(made::large),
        seen: &["deployed"],
        must: Must::All(1),
        log: Shown::NoFailure,
        metrics: PUBLISHED,
    },
    Fault {
        name: "component of more than 100 MiB",
        guest: Guest::Fixture("hostile-trap"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Deploy(made::too_large),
        seen: &["refused"],
        must: Must::All(1),
        log: Shown::Line(&["a component that was sent is not kept"]),
        metrics: &[of_host("midplane_uploads_total", "outcome=\"refused\"")],
    },
    Fault {
        name: "compile bomb",
        guest: Guest::Fixture("hostile-trap"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Deploy(made::bomb),
        seen: &["refused"],
        must: Must::All(1),
        log: Shown::Line(&["refused: "]),
        metrics: REFUSED,
    },
    Fault {
        name: "burden of compiling",
        guest: Guest::Fixture("hostile-trap"),
        tables: limits!(),
        has_accomplice: false,
        neighbour: Neighbour::Hello,
        deed: Deed::Deploy(made::burden),
        seen: &["deployed"],
        must: Must::All(1),
        log: Shown::NoFailure,
        metrics: PUBLISHED,
    },
];

const FORK: &str = concat!(
    "allowed_outbound_hosts = [\"http://*.spin.internal\"]\n",
    "[component.{service}.tool.midplane.links]\n\"link:ring/plain-step@1.0.0\" = \"{other}\"\n",
    limits!()
);
