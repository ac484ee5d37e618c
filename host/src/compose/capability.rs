//! Which part of a component's configuration an interface of the host needs.
//!
//! Invariant: an interface is harmless only if it stands here as such. One that nobody knows is granted with everything or not
//! at all, so that an interface that comes later is not a way around `inherit_configuration`.

use std::ops::RangeInclusive;

use crate::model::{Inheritable, InterfaceName};

/// What a component must have, of the configuration in the manifest, to get anything from an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// It gives no access to anything by itself.
    Nothing,
    /// This.
    Grant(Inheritable),
    /// It is not known what it gives access to.
    Everything,
}

/// What `interface` needs; nothing is said of interfaces that no host provides (contracts of services).
pub fn of(interface: &InterfaceName) -> Option<Needs> {
    use Inheritable::{
        AiModels, AllowedOutboundHosts, Environment, Files, KeyValueStores, SqliteDatabases, Variables,
    };
    let (namespace, _) = interface.package().split_once(':')?;
    if !matches!(namespace, "wasi" | "spin") && interface.package() != "fermyon:spin" {
        return None;
    }
    Some(match (interface.package(), interface.interface()) {
        ("fermyon:spin", "key-value") | ("spin:key-value" | "wasi:keyvalue", _) => {
            Needs::Grant(KeyValueStores)
        }
        ("fermyon:spin", "sqlite") | ("spin:sqlite", _) => Needs::Grant(SqliteDatabases),
        ("fermyon:spin", "variables" | "config") | ("spin:variables" | "wasi:config", _) => {
            Needs::Grant(Variables)
        }
        ("fermyon:spin", "llm") | ("spin:llm", _) => Needs::Grant(AiModels),
        ("wasi:cli", "environment") => Needs::Grant(Environment),
        ("wasi:filesystem", "preopens") => Needs::Grant(Files),
        ("fermyon:spin", "http" | "redis" | "postgres" | "mysql" | "mqtt")
        | ("spin:redis" | "spin:postgres" | "spin:mysql" | "spin:mqtt", _)
        | ("wasi:http", "outgoing-handler" | "client") => Needs::Grant(AllowedOutboundHosts),
        ("wasi:sockets", name) => sockets(name, interface),
        (package, name) if is_wasi(interface, 2..=3) && is_harmless(package, name) => Needs::Nothing,
        _ => Needs::Everything,
    })
}

fn is_harmless(package: &str, name: &str) -> bool {
    match package {
        // A descriptor comes from `preopens` alone, and a request goes nowhere without one of the handlers.
        "wasi:filesystem" | "wasi:http" => name == "types",
        "wasi:cli" => {
            matches!(name, "exit" | "stdin" | "stdout" | "stderr" | "types") || name.starts_with("terminal-")
        }
        "wasi:io" | "wasi:clocks" | "wasi:random" => true,
        _ => false,
    }
}

/// WASI 0.2 has interfaces that only create sockets, so that those which use one are harmless without. In WASI 0.3 the
/// resources create themselves, in `types`.
fn sockets(name: &str, interface: &InterfaceName) -> Needs {
    match name {
        "network" | "instance-network" | "tcp" | "udp" if is_wasi(interface, 2..=2) => Needs::Nothing,
        _ => Needs::Grant(Inheritable::AllowedOutboundHosts),
    }
}

/// Whether it is of WASI 0.x, with x in `minors`: what is known of one is not known of the next.
fn is_wasi(interface: &InterfaceName, minors: RangeInclusive<u64>) -> bool {
    interface
        .version()
        .is_some_and(|version| version.major == 0 && minors.contains(&version.minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(name: &str) -> Option<Needs> {
        of(&InterfaceName::parse(name).unwrap())
    }

    #[test]
    fn each_capability_has_its_key() {
        for (name, grant) in [
            ("fermyon:spin/key-value@2.0.0", Inheritable::KeyValueStores),
            ("spin:key-value/key-value@3.0.0", Inheritable::KeyValueStores),
            ("wasi:keyvalue/batch@0.2.0-draft2", Inheritable::KeyValueStores),
            ("spin:sqlite/sqlite@3.1.0", Inheritable::SqliteDatabases),
            ("wasi:config/store@0.2.0-draft-2024-09-27", Inheritable::Variables),
            ("wasi:cli/environment@0.2.6", Inheritable::Environment),
            ("wasi:filesystem/preopens@0.3.0", Inheritable::Files),
            (
                "wasi:http/outgoing-handler@0.2.0",
                Inheritable::AllowedOutboundHosts,
            ),
            ("wasi:http/client@0.3.0", Inheritable::AllowedOutboundHosts),
            (
                "wasi:sockets/tcp-create-socket@0.2.0",
                Inheritable::AllowedOutboundHosts,
            ),
            ("wasi:sockets/types@0.3.0", Inheritable::AllowedOutboundHosts),
            ("wasi:sockets/tcp@0.4.0", Inheritable::AllowedOutboundHosts),
            ("spin:postgres/postgres@4.2.0", Inheritable::AllowedOutboundHosts),
            ("fermyon:spin/llm@2.0.0", Inheritable::AiModels),
        ] {
            assert_eq!(needs(name), Some(Needs::Grant(grant)), "{name}");
        }
    }

    #[test]
    fn what_is_not_known_needs_everything_and_what_no_host_provides_is_a_contract() {
        for name in [
            "wasi:nn/graph@0.2.0",
            "wasi:http/handler@0.3.0",
            "spin:new/thing@1.0.0",
            "fermyon:spin/new",
            "wasi:cli/run@0.2.0",
            "wasi:io/streams@0.4.0",
            "wasi:http/types",
        ] {
            assert_eq!(needs(name), Some(Needs::Everything), "{name}");
        }
        for name in [
            "wasi:io/streams@0.2.6",
            "wasi:http/types@0.3.1",
            "wasi:sockets/tcp@0.2.0",
        ] {
            assert_eq!(needs(name), Some(Needs::Nothing), "{name}");
        }
        assert_eq!(needs("shop:catalog/products@1.0.0"), None);
        assert_eq!(needs("fermyon:other/key-value@2.0.0"), None);
    }
}
