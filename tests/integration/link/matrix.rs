//! Every type of value through every kind of link: callers and callees of both WASI versions, functions that
//! may wait and functions that may not.
//!
//! The cells are made from the contract: a function that is added to it and has no cell fails here. A cell
//! calls the function with all of the caller's samples, changes each in the callee and compares in the
//! caller.

use std::fmt::{self, Write as _};
use std::fs;

use super::links;
use crate::harness::{Builder, TestHost, fixtures_folder};

/// The WASI version of a guest.
#[derive(Clone, Copy, PartialEq, Eq)]
enum World {
    P2,
    P3,
}

/// Whether the functions of a contract may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Contract {
    Plain,
    Waiting,
}

impl World {
    const ALL: [Self; 2] = [Self::P2, Self::P3];
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P2 => "p2",
            Self::P3 => "p3",
        })
    }
}

impl Contract {
    const ALL: [Self; 2] = [Self::Plain, Self::Waiting];

    /// Its interface within the package.
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Waiting => "waiting",
        }
    }

    /// The paths of its calls, one for each way that the caller has to make them. A guest of WASI 0.3 may wait for
    /// a function beside its other tasks or with all of itself; the handler of WASI 0.2 may do neither.
    fn ways(self, caller: World) -> &'static [&'static str] {
        match (caller, self) {
            (_, Self::Plain) => &["plain"],
            (World::P2, Self::Waiting) => &[],
            (World::P3, Self::Waiting) => &["waiting", "waiting-blocked"],
        }
    }

    fn interface(self) -> String {
        format!("link:values/{}@1.0.0", self.name())
    }

    /// The lines of its interface: one for each function, without the word that tells the contracts apart.
    fn functions(self) -> Vec<String> {
        let file = fixtures_folder().join("wit/link/values/values.wit");
        let text = fs::read_to_string(file).expect("the contract is beside its guests");
        let opening = format!("interface {} {{", self.name());
        let body = text
            .split(&opening)
            .nth(1)
            .expect("the contract has the interface");
        let body = body.split("\n}").next().unwrap_or_default();
        let word = match self {
            Self::Plain => ": func(",
            Self::Waiting => ": async func(",
        };
        let functions = body.split(';').filter(|function| function.contains(word));
        functions
            .map(|function| function.replace(word, ": func("))
            .collect()
    }

    /// Its functions by name, each in every way that a caller of this world has to call it.
    fn cells(self, caller: World) -> Vec<(&'static str, String)> {
        let names = self.names();
        let ways = self.ways(caller).iter();
        ways.flat_map(|way| names.iter().map(|name| (*way, name.clone())))
            .collect()
    }

    /// The names of its functions.
    fn names(self) -> Vec<String> {
        let functions = self.functions();
        let declared = functions
            .iter()
            .flat_map(|function| function.lines().find(|line| line.contains(": func(")));
        declared
            .map(|line| line.split(':').next().unwrap_or_default().trim().to_owned())
            .collect()
    }
}

fn caller(world: World, contract: Contract) -> &'static str {
    match (world, contract) {
        (World::P2, Contract::Plain) => "link-caller-p2",
        (World::P2, Contract::Waiting) => "link-caller-p2-waiting",
        (World::P3, _) => "link-caller-p3",
    }
}

fn callee(world: World, contract: Contract) -> &'static str {
    match (world, contract) {
        (World::P2, Contract::Plain) => "link-callee-p2",
        (World::P2, Contract::Waiting) => "link-callee-p2-waiting",
        (World::P3, _) => "link-callee-p3",
    }
}

/// A caller with a service of its own for each contract that it imports.
fn application(caller_file: &str, callee_world: World, contracts: &[Contract]) -> Builder {
    let mut builder = TestHost::builder();
    let mut table = Vec::new();
    for contract in contracts {
        builder = builder.service(contract.name(), callee(callee_world, *contract));
        table.push((contract.interface(), contract.name()));
    }
    let table: Vec<_> = table
        .iter()
        .map(|(interface, service)| (interface.as_str(), *service))
        .collect();
    builder
        .service("caller", caller_file)
        .tables(&links("caller", &table))
        .route("/...", "caller")
}

/// Calls every function of every contract that is open to the caller, and shows the whole table if one went
/// wrong.
async fn check(caller_world: World, callee_world: World) {
    let contracts: Vec<_> = Contract::ALL
        .into_iter()
        .filter(|contract| !contract.ways(caller_world).is_empty())
        .collect();
    let caller_file = caller(caller_world, Contract::Plain);
    let host = application(caller_file, callee_world, &contracts).start().await;
    let mut table = String::new();
    let mut cells = 0;
    let mut passed = 0;
    for contract in contracts {
        for (way, function) in contract.cells(caller_world) {
            let path = format!("/{way}/{}", function.replace('-', "_"));
            let answer = host.get(&path).await;
            cells += 1;
            passed += usize::from(answer.status == 200 && answer.text().starts_with("pass: "));
            let (status, outcome) = (answer.status.as_u16(), answer.text());
            writeln!(
                table,
                "{caller_world} → {callee_world} {way:15} {function:18} {status} {outcome}"
            )
            .expect("a string takes text");
        }
    }
    assert!(
        cells > 0 && passed == cells,
        "{passed} of {cells} cells pass:\n{table}\n{}",
        host.log_text()
    );
}

#[tokio::test]
async fn every_value_travels_from_a_p2_guest_to_a_p2_guest() {
    check(World::P2, World::P2).await;
}

#[tokio::test]
async fn every_value_travels_from_a_p2_guest_to_a_p3_guest() {
    check(World::P2, World::P3).await;
}

#[tokio::test]
async fn every_value_travels_from_a_p3_guest_to_a_p2_guest() {
    check(World::P3, World::P2).await;
}

#[tokio::test]
async fn every_value_travels_from_a_p3_guest_to_a_p3_guest() {
    check(World::P3, World::P3).await;
}

/// What may wait cannot be called from what may not: such a call can only trap.
#[tokio::test]
async fn a_caller_that_cannot_wait_is_refused_a_contract_whose_functions_may() {
    for callee_world in World::ALL {
        let file = caller(World::P2, Contract::Waiting);
        let failure = application(file, callee_world, &[Contract::Waiting]).fail().await;
        assert!(failure.status.code().is_some_and(|code| code != 0), "{failure:?}");
        for word in [
            "`caller` exports nothing that can wait",
            "`link:values/waiting@1.0.0`",
            "can only trap",
        ] {
            assert!(failure.stderr.contains(word), "no {word:?} in {}", failure.stderr);
        }
        assert!(!failure.stderr.contains("panicked"), "{}", failure.stderr);
    }
}

/// Otherwise a cell of one kind of contract would have no counterpart in the other.
#[test]
fn both_contracts_have_the_same_functions() {
    let functions = Contract::ALL.map(Contract::functions);
    assert!(functions[0].len() > 40, "{functions:?}");
    assert_eq!(functions[0], functions[1]);
}
