//! A warm call from one service to another, next to the same call composed, and to HTTP over loopback between two native
//! axum servers, all in one run.
//!
//! ```text
//! cargo bench -p midplane-bench --bench link                  # everything, some minutes
//! cargo bench -p midplane-bench --bench link -- record        # what has this in its name
//! cargo bench -p midplane-bench --bench link -- --test        # each once, without figures
//! ```
//!
//! The real host, built with the profile of the benchmark, serves an app whose guests make the calls and time them; so what
//! is measured has everything on: deadline, policy, metrics, epochs, and, where it says `traced`, tracing to a receiver.
//! Criterion has the mean of a call; the table that is printed at the end has also the median and the 99th percentile, taken
//! over batches of calls.

mod client;
mod host;
mod http;
mod table;

use std::time::Duration;

use criterion::Criterion;
use midplane_bench::link::{CASES, WAYS};

use client::{Client, Times};
use host::Host;
use table::{Row, Table};

/// Calls of one batch.
const BATCH: u64 = 16;
/// The most calls of one request, which has to end before its deadline.
const MAX_CALLS: u64 = 1 << 22;
/// How long the calls take that the distribution is made of, about.
const DISTRIBUTION: Duration = Duration::from_millis(500);
/// What is measured with tracing too.
const TRACED: [(&str, &str); 2] = [("link p2 → p2", "record"), ("link p3 → p3 async", "record")];

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
        .configure_from_args();
    let mut table = Table::default();

    let host = Host::start(&[]);
    let native = http::Pair::start();
    let receiver = http::receiver();
    let traced = Host::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{receiver}"))]);

    let mut to_host = Client::open(host.address);
    let mut to_traced = Client::open(traced.address);
    let mut to_native = Client::open(native.front);
    for case in CASES {
        for way in WAYS {
            let path = |calls, batch| way.path(case, calls, batch);
            let row = measure(&mut criterion, &mut to_host, case, way.name, path);
            table.extend(row.map(|row| Row {
                composed: way.composed,
                ..row
            }));
        }
        for way in WAYS.iter().filter(|way| TRACED.contains(&(way.name, case))) {
            let path = |calls, batch| way.path(case, calls, batch);
            let name = format!("{}, traced", way.name);
            let row = measure(&mut criterion, &mut to_traced, case, &name, path);
            table.extend(row.map(|row| Row {
                composed: way.composed,
                ..row
            }));
        }
        if http::CASES.contains(&case) {
            let path = |calls, batch| format!("/{case}/{calls}/{batch}");
            table.extend(measure(&mut criterion, &mut to_native, case, table::HTTP, path));
        }
    }
    criterion.final_summary();
    print!("{table}");
}

/// Has Criterion measure one case on one way. Nothing if the command line leaves it out.
fn measure(
    criterion: &mut Criterion,
    client: &mut Client,
    case: &'static str,
    way: &str,
    path: impl Fn(u64, u64) -> String,
) -> Option<Row> {
    let mut ran: Option<Times> = None;
    let mut group = criterion.benchmark_group(case);
    group.bench_function(way, |bencher| {
        bencher.iter_custom(|calls| {
            let mut total = Duration::ZERO;
            let mut left = calls;
            while left > 0 {
                let some = left.min(MAX_CALLS);
                total += client.times(&path(some, some)).total;
                left -= some;
            }
            let ran = ran.get_or_insert_default();
            ran.calls += calls;
            ran.total += total;
            total
        });
    });
    group.finish();
    // What runs once is only tried.
    let ran = ran.filter(|ran| ran.calls > 1)?;
    let mean = ran.total.as_nanos() as f64 / ran.calls as f64;
    let batches = (DISTRIBUTION.as_nanos() as f64 / mean) as u64 / BATCH;
    let calls = (batches.max(1) * BATCH).min(MAX_CALLS);
    let spread = client.times(&path(calls, BATCH));
    let per_call = |batch: Duration| batch.as_nanos() as f64 / BATCH as f64;
    Some(Row {
        case,
        way: way.to_owned(),
        composed: None,
        mean,
        median: per_call(spread.median),
        high: per_call(spread.high),
    })
}
