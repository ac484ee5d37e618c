//! The short form of `fault-storm`: every fault once, each against a host of its own. What clients see, the log says and the
//! metrics count is asserted, and that a neighbour is served all the while; how fast it is, is not.

mod parts;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use midplane_fault::fault::{self, Fault};
use midplane_fault::row::Table;
use midplane_fault::run::{Settings, run};
use tokio::runtime::Handle;

use crate::harness::{PATIENCE, binary, cache_folder, fixture};

/// How long the neighbour is measured, quiet and under the fault each.
const TIME: Duration = Duration::from_millis(400);

/// Requests a second to it.
const RATE: u32 = 50;

/// Fewer requests than in that time at that rate would be no measurement.
const REQUESTS: u64 = 20;

async fn passes(name: &str) {
    let fault = Fault::named(name).unwrap_or_else(|| panic!("there is no fault `{name}`"));
    let fixtures = fixture(fault.neighbour.fixture());
    let settings = Settings {
        program: binary().to_owned(),
        cache: cache_folder(),
        fixtures: fixtures.parent().map(Path::to_owned).unwrap_or_default(),
        time: TIME,
        rate: RATE,
        patience: PATIENCE / 2,
    };
    let row = run(fault, &settings, &Handle::current()).await;
    let row = row.unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let table = Table(std::slice::from_ref(&row));
    let faults = row.faults();
    assert!(faults.is_empty(), "{faults:#?}\n{table}");
    for measured in [&row.quiet, &row.stormy] {
        assert!(measured.count() >= REQUESTS, "{table}");
    }
}

macro_rules! faults {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                passes($name).await;
            }
        )*

        /// The faults that have a test.
        const TESTED: &[&str] = &[$($name),*];
    };
}

faults! {
    an_endless_loop_ends_by_its_cpu_time: "endless loop",
    endless_loops_at_every_place_of_a_service_starve_nobody: "endless loops at every place",
    an_endless_loop_of_wasi_0_3_ends_by_its_cpu_time: "endless loop, WASI 0.3",
    allocation_without_end_meets_the_limit_of_memory: "allocation without end",
    memory_that_a_service_holds_is_bounded_over_all_its_instances: "all memory of the service held",
    tables_do_not_grow_without_end: "table growth",
    many_memories_leave_room_for_others: "many memories at once",
    a_deep_recursion_ends_in_a_trap: "deep recursion",
    a_trap_before_the_head_is_a_500: "trap before the head",
    a_trap_after_the_head_cuts_the_body: "trap after the head",
    leaked_handles_are_bounded_and_closed: "handle leak",
    a_response_that_does_not_end_is_cut: "never-ending response",
    a_response_that_stalls_is_cut: "response slower than the client",
    a_flood_of_log_lines_is_dropped_and_counted: "log flood",
    a_header_of_a_megabyte_ends_its_guest: "header of 1 MB, response",
    a_header_of_a_megabyte_neither_goes_out_nor_comes_in: "header of 1 MB, outbound",
    thousands_of_sockets_are_not_given: "thousands of sockets",
    thousands_of_outbound_requests_are_not_sent: "thousands of outbound requests",
    recursive_sql_is_interrupted: "recursive SQL",
    huge_results_of_sql_are_refused: "huge results of SQL",
    a_flood_of_keys_meets_the_size_of_the_store: "key-value flood",
    odd_arguments_of_host_functions_end_their_guest_alone: "odd arguments",
    a_fork_bomb_of_calls_ends: "fork bomb of calls",
    a_fork_bomb_of_requests_ends: "fork bomb of requests",
    a_component_of_100_mb_harms_nobody: "component of 100 MB",
    a_component_of_more_than_100_mib_is_refused: "component of more than 100 MiB",
    a_compile_bomb_is_refused: "compile bomb",
    a_component_that_is_dear_to_compile_harms_nobody: "burden of compiling",
}

/// The fixtures of the faults, by name.
const GUESTS: [&str; 14] = [
    "hostile-arguments",
    "hostile-connections",
    "hostile-fork",
    "hostile-handles",
    "hostile-header",
    "hostile-hoard",
    "hostile-keys",
    "hostile-log",
    "hostile-loop",
    "hostile-loop-p3",
    "hostile-recursion",
    "hostile-sql",
    "hostile-stream",
    "hostile-trap",
];

#[test]
fn every_fault_has_a_test_and_every_hostile_guest_a_fault() {
    let known: BTreeSet<_> = fault::ALL.iter().map(|fault| fault.name).collect();
    assert_eq!(TESTED.iter().copied().collect::<BTreeSet<_>>(), known);
    let guests: BTreeSet<_> = fault::ALL
        .iter()
        .filter_map(|fault| fault.guest.fixture())
        .collect();
    assert_eq!(guests, BTreeSet::from(GUESTS));
}
