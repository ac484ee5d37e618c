//! `[component.<id>.tool.midplane]` as it is written.

use std::num::NonZeroU32;

use toml::Spanned;

use super::{Instances, Limits, Probe};
use crate::manifest::read::{Entries, Item, Owner, Read, Result, Table};

/// `[component.<id>.tool]`: only Midplane's own table is read.
#[derive(Default)]
pub(in crate::manifest) struct ComponentTool {
    pub(in crate::manifest) links: Entries<Link>,
    pub(in crate::manifest) probe: Option<Probe>,
    pub(in crate::manifest) limits: Limits,
    pub(in crate::manifest) instances: Instances,
}

/// One entry of `links`.
pub(in crate::manifest) struct Link {
    pub(in crate::manifest) service: Spanned<String>,
    pub(in crate::manifest) timeout: Option<Spanned<String>>,
    pub(in crate::manifest) concurrency: Option<NonZeroU32>,
}

impl Read for ComponentTool {
    fn read(item: &Item<'_>) -> Result<Self> {
        let Some(own) = Table::open(item)?.item("midplane") else {
            return Ok(Self::default());
        };
        let mut table = Table::open(&own)?;
        let tool = Self {
            links: table.or_default("links")?,
            probe: table.optional("probe")?,
            limits: table.or_default("limits")?,
            instances: table.or_default("instances")?,
        };
        table.close(Owner::Midplane)?;
        Ok(tool)
    }
}

impl Read for Link {
    fn read(item: &Item<'_>) -> Result<Self> {
        if item.is_string() {
            return Ok(Self {
                service: Spanned::read(item)?,
                timeout: None,
                concurrency: None,
            });
        }
        if !item.is_table() {
            return item.wrong_type("the id of a component or `{ service = \"…\" }`");
        }
        let mut table = Table::open(item)?;
        let link = Self {
            service: table.required("service", "{ service = \"catalog\", timeout = \"500ms\" }")?,
            timeout: match table.item("timeout") {
                Some(timeout) if !timeout.is_string() => {
                    return timeout.wrong_type("a time as text, such as \"500ms\"");
                }
                timeout => timeout.map(|timeout| Spanned::read(&timeout)).transpose()?,
            },
            concurrency: table.optional("concurrency")?,
        };
        table.close(Owner::Midplane)?;
        Ok(link)
    }
}
