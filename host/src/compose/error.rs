//! Why components do not make one.

use super::deny::DenyError;

/// Why components do not make one.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// Something is no component.
    #[error("{what} is no WebAssembly component: {reason}")]
    NoComponent {
        /// Which.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A dependency is for nothing that the component imports.
    #[error("the dependency `{part}` matches no import of the component")]
    NoImport {
        /// The dependency.
        part: String,
        /// What the component imports.
        imports: Vec<String>,
    },
    /// Two dependencies are for the same import.
    #[error("the dependencies `{first}` and `{second}` are both for the import `{import}`")]
    Conflict {
        /// The import.
        import: String,
        /// The dependency that is declared first.
        first: String,
        /// The other.
        second: String,
    },
    /// A component does not export what is wanted of it.
    #[error("{what} does not export `{export}`")]
    NoExport {
        /// Which component.
        what: String,
        /// What is wanted.
        export: String,
        /// What there is.
        exports: Vec<String>,
    },
    /// A component does not import what a link says.
    #[error("{what} does not import `{import}`")]
    NoSuchImport {
        /// Which component.
        what: String,
        /// What the link says.
        import: String,
        /// What there is.
        imports: Vec<String>,
    },
    /// An import has two providers.
    #[error("the import `{import}` of {what} is linked twice")]
    LinkedTwice {
        /// Which component.
        what: String,
        /// The import.
        import: String,
    },
    /// The types of an import and of what should serve it differ.
    #[error("{provider} cannot serve the import `{import}` of {consumer}: {reason}")]
    Mismatch {
        /// The component that would serve.
        provider: String,
        /// The component that imports.
        consumer: String,
        /// The import.
        import: String,
        /// Where the types differ, and how.
        reason: String,
    },
    /// A dependency imports a contract itself.
    #[error(
        "the dependency `{part}` imports `{import}` itself, and what a dependency imports is not resolved"
    )]
    Unresolved {
        /// The dependency.
        part: String,
        /// What it imports.
        import: String,
    },
    /// The denial of what a dependency does not inherit cannot be made.
    #[error("what the dependency `{part}` does not inherit cannot be denied to it")]
    Deny {
        /// The dependency.
        part: String,
        /// Why.
        source: DenyError,
    },
    /// Two parts import the same interface in different shapes.
    #[error("the parts import `{import}` with types that differ: {reason}")]
    Imports {
        /// The import.
        import: String,
        /// How they differ.
        reason: String,
    },
    /// A link speaks of a component that is not there.
    #[error("there is no component `{name}` to fuse")]
    NoSuchComponent {
        /// Its name.
        name: String,
    },
    /// Links lead from a component back to itself.
    #[error("the links lead in a circle: {}", path.join(" → "))]
    Cycle {
        /// The components on the way, the first one again at the end.
        path: Vec<String>,
    },
    /// The result would be no valid component.
    #[error("the composition is no valid component: {reason}")]
    Invalid {
        /// What the validator says.
        reason: String,
    },
    /// A component has something in it that this composer cannot treat.
    #[error("a component has something in it that cannot be composed: {reason}")]
    Unsupported {
        /// What the library says.
        reason: String,
    },
}

impl ComposeError {
    /// What its reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoComponent { .. } => "build it for a component target such as `wasm32-wasip2`".into(),
            Self::NoImport { imports, .. } => listed("the component imports", imports),
            Self::NoExport { exports, .. } => listed("it exports", exports),
            Self::NoSuchImport { imports, .. } => listed("it imports", imports),
            Self::Conflict { .. } => "remove one of the two, or name the interface instead of the package".into(),
            Self::LinkedTwice { .. } => "remove one of the two links".into(),
            Self::Mismatch { .. } => {
                "build both components from the same version of the contract, or give the import another provider"
                    .into()
            }
            Self::Unresolved { part, import } => format!(
                "compose `{import}` into `{part}` first, or use a live link instead of the dependency"
            ),
            Self::Imports { .. } => "build the components from the same version of that interface".into(),
            Self::NoSuchComponent { .. } => "name a component of the app".into(),
            Self::Cycle { .. } => "a composition cannot have circles; live links can".into(),
            Self::Deny { part, .. } => {
                format!("if `{part}` may use all that the component may: `inherit_configuration = true`")
            }
            Self::Invalid { .. } | Self::Unsupported { .. } => return None,
        })
    }
}

/// At most 20 names, in a sentence.
fn listed(what: &str, names: &[String]) -> String {
    const SHOWN: usize = 20;
    if names.is_empty() {
        return format!("{what} nothing");
    }
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = match names.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{what} {}{more}", shown.join(", "))
}
