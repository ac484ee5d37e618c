//! Contracts between services: what one imports, what another exports, and which of the two belong together.
//!
//! [`imports`] and [`exports`] read a compiled component into [`Contract`]s, values of our own that outlive it; `compare`
//! holds two of them against each other; [`resolve`] finds the callee of each import in an app and says what does not fit,
//! before anything runs. The same comparison decides whether a new revision may take the place of the current one
//! ([`check_callers`]).
//!
//! *Absent*: calls, instances, and the manifest.

mod contract;
mod gate;
mod resolve;

pub use contract::{
    Carrier, Contract, Difference, Exports, FailureKind, Function, Imports, Item, MAX_COMPONENT_NAME_BYTES,
    MAX_COMPONENT_PARTS, MAX_DEPTH, MAX_FUNCTION_PARTS, Mismatch, Names, Parting, Problem, ReflectError,
    Refused, Resource, Silence, Silent, Slot, Step, Type, Unsupported, carrier, exports, exports_of_bytes,
    imports, mismatches, unsupported, warnings,
};
pub use gate::{Link, Policy};
pub use resolve::{
    ExplicitLink, LinkError, LinkWarning, Resolution, ResolvedLink, ServiceContracts, check_callers, resolve,
};
