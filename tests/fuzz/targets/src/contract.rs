//! Components of strangers: reading, comparing and linking their contracts never panics, whatever types they have.
//!
//! The input is a component, as text or as bytes.

use std::sync::Arc;

use midplane::engine::{CallError, Foreign, Stub, Target as Callee, Value};
use midplane::link::{
    ReflectError, carrier, exports, exports_of_bytes, imports, mismatches, unsupported, warnings,
};

use crate::Target;
use crate::bench::{self, Bench};

pub(crate) const TARGET: Target = Target {
    name: "contract",
    run: contract,
    cases: 400,
    words: &[
        "u8",
        "string",
        "(list u8)",
        "(option string)",
        "(result)",
        "(own 0)",
        "(borrow 0)",
        "(stream u8)",
        "(future)",
        "async",
        "(param \"x\" u32)",
        "(error string)",
        "(case \"timeout\")",
        "\"a:b/c@1.0.0\"",
        "(type (sub resource))",
        "(component)",
        "(instance)",
        "(flags \"a\")",
        "(enum \"a\" \"b\")",
        "(tuple u8 u8)",
        "(record (field \"f\" u8))",
    ],
};

/// More is compiled too slowly to find anything.
const MAX_BYTES: usize = 16 * 1024;

/// Reads the contracts of a component and links it.
pub fn contract(data: &[u8]) -> bool {
    let bytes = match std::str::from_utf8(data) {
        Ok(text) if data.len() <= MAX_BYTES => wat::parse_str(text).ok(),
        _ => (data.len() <= MAX_BYTES).then(|| data.to_vec()),
    };
    bytes.is_some_and(|bytes| bench::with(|bench| read(bench, &bytes)))
}

/// Whether it is a component whose contracts are within bounds.
fn read(bench: &Bench, bytes: &[u8]) -> bool {
    let Some(compiled) = bench.compile(bytes) else {
        return false;
    };
    let component = compiled.component();
    let exported = exports(component);
    let again = exports_of_bytes(component.engine(), bytes);
    assert_eq!(exported.as_ref().ok(), again.as_ref().ok());
    let imported = imports(component, &|name| name.starts_with("wasi:"));
    for refused in [exported.as_ref().err(), imported.as_ref().err()]
        .into_iter()
        .flatten()
    {
        assert!(matches!(
            refused,
            ReflectError::Function { .. } | ReflectError::Depth { .. } | ReflectError::Component { .. }
        ));
        assert!(refused.hint().is_some());
    }
    let (Ok(exported), Ok(imported)) = (exported, imported) else {
        return false;
    };
    for contract in exported.contracts.iter().chain(&imported.contracts) {
        let cannot_cross = unsupported(contract);
        let parted = mismatches(contract, contract);
        assert!(
            !cannot_cross.is_empty() || parted.is_empty(),
            "{contract:?} does not fit itself: {parted:?}"
        );
        for refused in &cannot_cross {
            assert!(!format!("{refused:?}").is_empty());
        }
        for function in contract.functions.values() {
            let _ = carrier(function.result.as_ref());
        }
        let _ = warnings(contract);
        for other in &exported.contracts {
            let _ = mismatches(contract, other);
        }
    }
    let foreign = imported.contracts.iter().map(|contract| Foreign {
        interface: contract.interface.clone(),
        target: Callee::Stub(Arc::new(Silent)),
    });
    let names: Vec<String> = compiled.imports();
    for contract in &imported.contracts {
        assert!(
            names.contains(&contract.interface.to_string()),
            "{} is not imported",
            contract.interface
        );
    }
    let _ = bench.engines.link(&compiled, foreign.collect());
    true
}

/// A service that refuses each call.
struct Silent;

impl Stub for Silent {
    fn call(
        &self,
        _: &str,
        _: Vec<Value>,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<Option<Value>, CallError>> + Send>> {
        Box::pin(std::future::ready(Err(CallError::NoFunction)))
    }
}
