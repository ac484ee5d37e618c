//! Why services cannot be linked, what to do about it, and what is worth a look though they can.

use std::fmt;

use crate::link::contract::{Mismatch, Refused, Silent, list};
use crate::model::{InterfaceName, ServiceName};

/// Namespaces of interfaces that hosts provide. A service is hardly ever meant to.
const HOST_NAMESPACES: [&str; 5] = ["wasi:", "spin:", "fermyon:", "wasmcloud:", "midplane:"];

/// Faults of one link that a message shows.
const MAX_SHOWN: usize = 8;

/// An import of a service cannot be linked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// It is a function or an instance of the world itself.
    #[error("`{caller}` imports {}, which is no interface and which the host does not provide", list(&[import]))]
    NotAnInterface {
        /// Who imports.
        caller: ServiceName,
        /// The name.
        import: String,
    },
    /// An explicit link leads back.
    #[error("{location}: `{caller}` is to serve its own import of `{import}`, and no service serves itself")]
    Itself {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// Where the link stands.
        location: String,
    },
    /// An explicit link leads nowhere.
    #[error(
        "{location}: `{service}`, which is to serve `{import}` for `{caller}`, is no service of this app"
    )]
    UnknownService {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// The name that the link has.
        service: ServiceName,
        /// Where the link stands.
        location: String,
        /// The services that could have been meant.
        services: Vec<ServiceName>,
    },
    /// An explicit link leads to a service that does not export the interface in a version that serves.
    #[error(
        "{location}: `{callee}` is to serve `{import}` for `{caller}`, and {}",
        without(import, versions)
    )]
    NotExported {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// Who is to serve it.
        callee: ServiceName,
        /// Where the link stands.
        location: String,
        /// The versions of the interface that it does export.
        versions: Vec<InterfaceName>,
        /// The export that was most likely meant.
        near: Option<InterfaceName>,
    },
    /// Nobody exports it.
    #[error("`{caller}` imports `{import}`, which neither the host nor another service provides")]
    NoExporter {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// Who exports other versions of it.
        versions: Vec<(ServiceName, InterfaceName)>,
        /// Who exports an interface of the same name in another package.
        namesakes: Vec<(ServiceName, InterfaceName)>,
        /// The importer exports it too, but does not serve itself.
        itself: bool,
    },
    /// More than one service exports it.
    #[error("`{caller}` imports `{import}`, which {} services export: {}", candidates.len(), list(candidates))]
    Ambiguous {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// Who exports it.
        candidates: Vec<ServiceName>,
    },
    /// The contract has something that belongs to one Wasm store.
    #[error(
        "`{caller}` imports `{import}` from `{callee}`, and not all of it can cross from service to service{}",
        lines(refused)
    )]
    Unsupported {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// Who would serve it.
        callee: ServiceName,
        /// What cannot cross.
        refused: Vec<Refused>,
    },
    /// What is exported is not what is imported.
    #[error(
        "`{caller}` imports `{import}`, and `{export}` of `{callee}` does not fit{}",
        lines(mismatches)
    )]
    Mismatch {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// Who serves it.
        callee: ServiceName,
        /// The version that it exports.
        export: InterfaceName,
        /// What does not fit.
        mismatches: Vec<Mismatch>,
    },
    /// All that the caller exports is synchronous, and it imports an `async func`.
    #[error(
        "`{caller}` exports nothing that can wait, and imports {} of `{import}` from `{callee}` as `async func`: \
         such a call can only trap",
        list(functions)
    )]
    CannotWait {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// Who would serve it.
        callee: ServiceName,
        /// The functions that are `async`.
        functions: Vec<String>,
    },
    /// A new revision lacks an interface that others import.
    #[error(
        "`{caller}` imports `{import}` from `{callee}`, and {}",
        without(import, versions)
    )]
    Withdrawn {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// The service whose new revision lacks it.
        callee: ServiceName,
        /// The versions of it that the new revision exports.
        versions: Vec<InterfaceName>,
    },
}

impl LinkError {
    /// The service whose import it is.
    #[must_use]
    pub const fn caller(&self) -> &ServiceName {
        match self {
            Self::NotAnInterface { caller, .. }
            | Self::Itself { caller, .. }
            | Self::UnknownService { caller, .. }
            | Self::NotExported { caller, .. }
            | Self::NoExporter { caller, .. }
            | Self::Ambiguous { caller, .. }
            | Self::Unsupported { caller, .. }
            | Self::Mismatch { caller, .. }
            | Self::CannotWait { caller, .. }
            | Self::Withdrawn { caller, .. } => caller,
        }
    }

    /// What its reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAnInterface { .. } => {
                "services are linked by interfaces: put the function into an `interface` of a WIT package"
                    .into()
            }
            Self::Itself { import, .. } => {
                format!("name the service that is to serve it: `\"{import}\" = \"…\"`")
            }
            Self::UnknownService { services, .. } if services.is_empty() => {
                "the app has no other service".into()
            }
            Self::UnknownService { services, .. } => format!("the other services are {}", list(services)),
            Self::NotExported {
                caller,
                import,
                callee,
                versions,
                near,
                ..
            } => match (versions.as_slice(), near) {
                ([], Some(near)) => format!("it exports `{near}`; link that, or another service"),
                ([], None) => format!("export `{import}` from `{callee}`, or link another service"),
                (versions, _) => another_version(caller, callee, import, versions),
            },
            Self::NoExporter {
                caller,
                import,
                versions,
                namesakes,
                itself,
            } => no_exporter(caller, import, versions, namesakes, *itself),
            Self::Ambiguous {
                caller,
                import,
                candidates,
            } => {
                let example = candidates.first().map(ToString::to_string).unwrap_or_default();
                format!(
                    "choose one in the manifest:\n\
                     [component.{caller}.tool.midplane.links]\n\
                     \"{import}\" = \"{example}\""
                )
            }
            Self::Unsupported { caller, import, .. } => format!(
                "resources, streams, futures and error-contexts belong to one Wasm store: pass values instead, \
                 for example an id and `list<u8>`, or compose the two into one component: {}",
                dependency(caller, import)
            ),
            Self::Mismatch { caller, callee, .. } => format!(
                "build `{caller}` and `{callee}` against the same WIT package; a contract that changes gets a new \
                 version, and its old version stays exported until nobody imports it"
            ),
            Self::CannotWait {
                caller,
                import,
                functions,
                ..
            } => format!(
                "build `{caller}` for WASI 0.3 (`wasi:http/handler`, or `async func` in the contracts that it exports), \
                 or make {} a plain `func` in `{import}`",
                list(functions)
            ),
            Self::Withdrawn {
                caller,
                import,
                callee,
                versions,
            } => {
                if versions.is_empty() {
                    format!("export `{import}` from `{callee}` until `{caller}` no longer imports it")
                } else {
                    another_version(caller, callee, import, versions)
                }
            }
        })
    }
}

fn another_version(
    caller: &ServiceName,
    callee: &ServiceName,
    import: &InterfaceName,
    versions: &[InterfaceName],
) -> String {
    if versions.iter().any(|version| import.serves(version)) {
        return format!("build `{callee}` against `{import}`; what it exports is older");
    }
    format!(
        "build `{caller}` against {}, or export `{import}` from `{callee}` as well",
        list(versions)
    )
}

fn no_exporter(
    caller: &ServiceName,
    import: &InterfaceName,
    versions: &[(ServiceName, InterfaceName)],
    namesakes: &[(ServiceName, InterfaceName)],
    itself: bool,
) -> String {
    if HOST_NAMESPACES
        .iter()
        .any(|namespace| import.package().starts_with(namespace))
    {
        return format!("`{import}` is an interface of a host, which this version of Midplane does not have");
    }
    let mut hint = String::new();
    if itself {
        hint.push_str(&format!("`{caller}` exports it, but no service serves itself. "));
    }
    let exporters = |exporters: &[(ServiceName, InterfaceName)]| {
        let shown = exporters.iter().take(MAX_SHOWN);
        let shown: Vec<String> = shown
            .map(|(service, name)| format!("`{service}` exports `{name}`"))
            .collect();
        shown.join(", ")
    };
    let older = versions.iter().find(|(_, version)| import.serves(version));
    if let Some((callee, _)) = older.or(versions.first()) {
        let names: Vec<InterfaceName> = versions.iter().map(|(_, name)| name.clone()).collect();
        let what = another_version(caller, callee, import, &names);
        hint.push_str(&format!("{}: {what}", exporters(versions)));
    } else {
        if !namesakes.is_empty() {
            hint.push_str(&format!("{}. ", exporters(namesakes)));
        }
        hint.push_str(&format!(
            "Export it from a service of this app, or declare the component that does:{}",
            dependency(caller, import)
        ));
    }
    hint
}

/// The manifest lines that compose a component in. Spin wants one key for a package.
fn dependency(caller: &ServiceName, import: &InterfaceName) -> String {
    let version = import
        .version()
        .map(|version| format!("@{version}"))
        .unwrap_or_default();
    format!(
        "\n[component.{caller}.dependencies]\n\"{}{version}\" = {{ path = \"…\" }}",
        import.package()
    )
}

/// `it exports …`, of a service that does not export what is wanted.
fn without(import: &InterfaceName, versions: &[InterfaceName]) -> String {
    if versions.is_empty() {
        format!("it does not export `{}/{}`", import.package(), import.interface())
    } else {
        format!("it exports only {}", list(versions))
    }
}

/// Faults, in the same line if there is one, otherwise each in a line of its own.
fn lines<T: fmt::Display>(faults: &[T]) -> String {
    if let [fault] = faults {
        return format!(": {fault}");
    }
    let mut text = String::from(":");
    for fault in faults.iter().take(MAX_SHOWN) {
        text.push_str(&format!("\n  {fault}"));
    }
    if let Some(more @ 1..) = faults.len().checked_sub(MAX_SHOWN) {
        text.push_str(&format!("\n  and {more} more"));
    }
    text
}

/// Services can be linked, and something is worth a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkWarning {
    /// A link of the manifest that no import needs.
    Unused {
        /// Whose link it is.
        caller: ServiceName,
        /// The interface that the link names.
        key: InterfaceName,
        /// The service that it names.
        callee: ServiceName,
        /// Where it stands.
        location: String,
        /// The import that was most likely meant.
        near: Option<InterfaceName>,
    },
    /// Functions whose failures trap the caller, since their results cannot carry them.
    Silent {
        /// Who imports.
        caller: ServiceName,
        /// What.
        import: InterfaceName,
        /// Who serves it.
        callee: ServiceName,
        /// The functions.
        functions: Vec<Silent>,
    },
}

impl LinkWarning {
    /// What its reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unused { near: Some(near), .. } => Some(format!("did you mean `{near}`?")),
            Self::Unused { near: None, .. } => Some("remove it".into()),
            Self::Silent { .. } => Some(
                "return `result<_, E>`, where E is a variant with a case `unavailable(string)`, or a string"
                    .into(),
            ),
        }
    }
}

impl fmt::Display for LinkWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unused {
                caller,
                key,
                callee,
                location,
                ..
            } => write!(
                f,
                "{location}: the link of `{key}` to `{callee}` is not used: `{caller}` has no import that it could serve"
            ),
            Self::Silent {
                caller,
                import,
                callee,
                functions,
            } => write!(
                f,
                "`{caller}` traps when a call of `{import}` to `{callee}` fails{}",
                lines(functions)
            ),
        }
    }
}
