//! `[component.<id>.tool.midplane.probe]` as it is written.

use toml::Spanned;

use crate::manifest::read::{Entries, Item, Owner, Read, Result, Table};

const EXAMPLE: &str = "probe = { path = \"/healthz\" }";

/// `probe` of a component.
pub(in crate::manifest) struct Probe {
    pub(in crate::manifest) path: Spanned<String>,
    pub(in crate::manifest) method: Option<Spanned<String>>,
    pub(in crate::manifest) headers: Entries<Spanned<String>>,
    pub(in crate::manifest) status: Option<Spanned<u16>>,
    pub(in crate::manifest) body_contains: Option<Spanned<String>>,
    pub(in crate::manifest) timeout: Option<Spanned<String>>,
}

impl Read for Probe {
    fn read(item: &Item<'_>) -> Result<Self> {
        if !item.is_table() {
            return item.wrong_type("a table such as `{ path = \"/healthz\" }`");
        }
        let mut table = Table::open(item)?;
        let probe = Self {
            path: table.required("path", EXAMPLE)?,
            method: table.optional("method")?,
            headers: table.or_default("headers")?,
            status: table.optional("status")?,
            body_contains: table.optional("body_contains")?,
            timeout: match table.item("timeout") {
                Some(timeout) if !timeout.is_string() => {
                    return timeout.wrong_type("a time as text, such as \"5s\"");
                }
                timeout => timeout.map(|timeout| Spanned::read(&timeout)).transpose()?,
            },
        };
        table.close(Owner::Midplane)?;
        Ok(probe)
    }
}
