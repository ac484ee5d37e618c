//! The manifest as it is written: one struct per table of Spin's manifest version 2 (Spin 4.1), each field with
//! its place in the file. Unknown keys, wrong types and what is not supported yet are refused here; whatever
//! needs a look at more than one key is the business of `resolve`.

use toml::Spanned;
use toml::de::DeTable;

use super::error::{Fault, shorten};
use super::read::{Entries, Item, Owner, Read, Result, Table, fail};

mod component;
mod dependency;
mod limits;
mod link;
mod probe;
mod trigger;

pub(super) use component::{Build, Component, Connections, FileMount};
pub(super) use dependency::{Dependency, Inherit};
pub use limits::{INSTANCE_KEYS, LIMIT_KEYS};
pub(super) use limits::{Instances, Limits};
pub(super) use link::Link;
pub(super) use probe::Probe;
pub(super) use trigger::{ComponentRef, HttpTrigger, Route, StaticResponse};

const NO_TARGETS: &str = "remove it; every import of a component is checked against what Midplane provides when \
                          the app starts";

/// The whole file.
pub(super) struct Manifest {
    pub(super) application: Application,
    pub(super) variables: Entries<Spanned<Variable>>,
    pub(super) http_triggers: Vec<Spanned<HttpTrigger>>,
    pub(super) components: Entries<Component>,
}

/// `[application]`.
pub(super) struct Application {
    pub(super) name: Spanned<String>,
    pub(super) version: Option<String>,
    pub(super) description: Option<String>,
    pub(super) tool: AppTool,
}

/// `[application.tool]`: only Midplane's own table is read.
#[derive(Default)]
pub(super) struct AppTool {
    pub(super) data: Option<Spanned<String>>,
    pub(super) limits: Limits,
    pub(super) instances: Instances,
}

/// `[variables]`, one entry.
pub(super) struct Variable {
    pub(super) description: Option<String>,
    pub(super) required: bool,
    pub(super) default: Option<String>,
    pub(super) secret: bool,
}

/// Reads the whole file.
pub(super) fn manifest(document: &Spanned<DeTable<'_>>) -> Result<Manifest> {
    let mut table = Table::root(document);
    version(&mut table)?;
    let manifest = Manifest {
        application: table.required("application", "application = { name = \"my-app\" }")?,
        variables: table.or_default("variables")?,
        http_triggers: table
            .item("trigger")
            .map_or_else(|| Ok(Vec::new()), |item| trigger::all(&item))?,
        components: table.or_default("component")?,
    };
    table.close(Owner::Spin)?;
    Ok(manifest)
}

/// The version comes before everything else: a manifest of version 1 has other keys.
fn version(table: &mut Table<'_>) -> Result<()> {
    let Some(item) = table.item("spin_manifest_version") else {
        let (found, span) = match table.item("spin_version") {
            Some(old) => (
                "`spin_version` belongs to manifest version 1".to_owned(),
                old.span(),
            ),
            None => ("there is no `spin_manifest_version`".to_owned(), table.span()),
        };
        return fail(Fault::Version { found }, span);
    };
    if item.is_string() {
        let found = format!("the manifest has version {:?}", shorten(&String::read(&item)?));
        return fail(Fault::Version { found }, item.span());
    }
    match u16::read(&item) {
        Ok(2) => Ok(()),
        Err(_) => item.wrong_type("the integer 2"),
        Ok(other) => fail(
            Fault::Version {
                found: format!("the manifest has version {other}"),
            },
            item.span(),
        ),
    }
}

impl Read for Application {
    fn read(item: &Item<'_>) -> Result<Self> {
        let mut table = Table::open(item)?;
        let application = Self {
            name: table.required("name", "name = \"my-app\"")?,
            version: table.optional("version")?,
            description: table.optional("description")?,
            tool: table.or_default("tool")?,
        };
        table.optional::<Vec<String>>("authors")?;
        table.refuse("targets", NO_TARGETS)?;
        if let Some(settings) = table.item("trigger") {
            trigger_settings(&settings)?;
        }
        table.close(Owner::Spin)?;
        Ok(application)
    }
}

/// `[application.trigger.http]` has one key, which Spin itself gives no meaning any more.
fn trigger_settings(item: &Item<'_>) -> Result<()> {
    let mut table = Table::open(item)?;
    if let Some(http) = table.item("http") {
        let mut http = Table::open(&http)?;
        if let Some(base) = http.optional::<Spanned<String>>("base")?
            && base.get_ref() != "/"
        {
            let what = "`application.trigger.http.base` other than \"/\"".to_owned();
            let instead = "write the prefix into the `route` of each `[[trigger.http]]`".to_owned();
            return fail(Fault::Unsupported { what, instead }, base.span());
        }
        http.close(Owner::Spin)?;
    }
    trigger::refuse_other_types(&table)
}

impl Read for AppTool {
    fn read(item: &Item<'_>) -> Result<Self> {
        let Some(own) = Table::open(item)?.item("midplane") else {
            return Ok(Self::default());
        };
        let mut table = Table::open(&own)?;
        let tool = Self {
            data: table.optional("data")?,
            limits: table.or_default("limits")?,
            instances: table.or_default("instances")?,
        };
        table.close(Owner::Midplane)?;
        Ok(tool)
    }
}

impl Read for Variable {
    fn read(item: &Item<'_>) -> Result<Self> {
        let mut table = Table::open(item)?;
        let variable = Self {
            description: table.optional("description")?,
            required: table.or_default("required")?,
            default: table.optional("default")?,
            secret: table.or_default("secret")?,
        };
        table.close(Owner::Spin)?;
        Ok(variable)
    }
}
