//! The contracts of a service under test: found by name, and told to whoever named another.

use super::Error;
use crate::link::Contract;
use crate::model::InterfaceName;

pub(super) use crate::host::linking::is_of_the_host;

/// Interfaces in a message; what a test imports beyond that is not told.
const MAX_LISTED: usize = 32;

/// A name of an interface, as a test writes it.
pub(super) fn interface(name: &str) -> Result<InterfaceName, Error> {
    InterfaceName::parse(name).map_err(|source| Error::Interface {
        name: name.to_owned(),
        source,
    })
}

/// Interfaces with their functions, for a message.
pub(super) fn list(contracts: &[Contract]) -> String {
    if contracts.is_empty() {
        return "nothing of other services".to_owned();
    }
    let mut listed: Vec<String> = contracts
        .iter()
        .take(MAX_LISTED)
        .map(|contract| {
            let functions: Vec<&str> = contract
                .functions
                .keys()
                .take(MAX_LISTED)
                .map(String::as_str)
                .collect();
            let more = if contract.functions.len() > MAX_LISTED {
                ", …"
            } else {
                ""
            };
            format!("`{}` ({}{more})", contract.interface, functions.join(", "))
        })
        .collect();
    if contracts.len() > MAX_LISTED {
        listed.push("…".to_owned());
    }
    listed.join(", ")
}

/// The contract that serves `wanted`; of several versions the newest.
pub(super) fn serving<'c>(contracts: &'c [Contract], wanted: &InterfaceName) -> Option<&'c Contract> {
    contracts
        .iter()
        .filter(|contract| contract.interface == *wanted || contract.interface.serves(wanted))
        .max_by(|one, other| one.interface.version().cmp(&other.interface.version()))
}
