//! `[component.<id>.dependencies]` as it is written. What comes from a registry is refused by name.

use toml::Spanned;

use crate::manifest::error::Fault;
use crate::manifest::read::{Item, Owner, Read, Result, Table, fail};

const NO_REGISTRY: &str = "download the component and give its path: `{ path = \"path/to/component.wasm\" }`, \
                           or give its `url` and `digest`";

/// One entry of `dependencies`.
pub(in crate::manifest) struct Dependency {
    pub(in crate::manifest) path: Option<Spanned<String>>,
    pub(in crate::manifest) url: Option<Spanned<String>>,
    pub(in crate::manifest) digest: Option<Spanned<String>>,
    pub(in crate::manifest) component: Option<Spanned<String>>,
    pub(in crate::manifest) export: Option<Spanned<String>>,
    pub(in crate::manifest) inherit_configuration: Option<Spanned<Inherit>>,
}

/// `inherit_configuration` of a dependency.
pub(in crate::manifest) enum Inherit {
    Everything(bool),
    Parts(Vec<Spanned<String>>),
}

impl Read for Dependency {
    fn read(item: &Item<'_>) -> Result<Self> {
        if item.is_string() {
            return from_registry(item);
        }
        if !item.is_table() {
            return item.wrong_type(
                "`{ path = \"…\" }`, `{ url = \"…\", digest = \"…\" }` or `{ component = \"…\" }`",
            );
        }
        let mut table = Table::open(item)?;
        let dependency = Self {
            path: table.optional("path")?,
            url: table.optional("url")?,
            digest: table.optional("digest")?,
            component: table.optional("component")?,
            export: table.optional("export")?,
            inherit_configuration: table.optional("inherit_configuration")?,
        };
        if table.has_any(&["version", "registry", "package"]) {
            return from_registry(item);
        }
        table.close(Owner::Spin)?;
        Ok(dependency)
    }
}

fn from_registry<T>(item: &Item<'_>) -> Result<T> {
    fail(
        Fault::Unsupported {
            what: format!("{} from a registry", item.name()),
            instead: NO_REGISTRY.to_owned(),
        },
        item.span(),
    )
}

impl Read for Inherit {
    fn read(item: &Item<'_>) -> Result<Self> {
        if item.is_boolean() {
            return bool::read(item).map(Self::Everything);
        }
        if item.elements().is_none() {
            return item.wrong_type("a boolean or a list such as `[\"key_value_stores\"]`");
        }
        Vec::read(item).map(Self::Parts)
    }
}
