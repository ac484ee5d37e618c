//! `[component.<id>]` as it is written.

use toml::Spanned;

use super::link::ComponentTool;
use super::{Dependency, Instances, Limits, Link, NO_TARGETS, Probe};
use crate::manifest::error::Fault;
use crate::manifest::read::{Entries, Item, Owner, Read, Result, Table, fail};

const NOT_A_FILE: &str = "download the component and give its path: `source = \"path/to/component.wasm\"`";

/// `[component.<id>]`.
pub(in crate::manifest) struct Component {
    pub(in crate::manifest) span: std::ops::Range<usize>,
    pub(in crate::manifest) source: Spanned<String>,
    pub(in crate::manifest) description: Option<String>,
    pub(in crate::manifest) variables: Entries<Spanned<String>>,
    pub(in crate::manifest) environment: Entries<String>,
    pub(in crate::manifest) files: Vec<Spanned<FileMount>>,
    pub(in crate::manifest) exclude_files: Vec<Spanned<String>>,
    pub(in crate::manifest) allowed_outbound_hosts: Vec<Spanned<String>>,
    pub(in crate::manifest) key_value_stores: Vec<Spanned<String>>,
    pub(in crate::manifest) sqlite_databases: Vec<Spanned<String>>,
    pub(in crate::manifest) build: Option<Build>,
    pub(in crate::manifest) probe: Option<Probe>,
    pub(in crate::manifest) limits: Limits,
    pub(in crate::manifest) instances: Instances,
    pub(in crate::manifest) connections: Connections,
}

/// What a component has to do with others: `dependencies`, and `links` of Midplane's own table.
pub(in crate::manifest) struct Connections {
    pub(in crate::manifest) links: Entries<Link>,
    pub(in crate::manifest) dependencies: Entries<Spanned<Dependency>>,
    pub(in crate::manifest) dependencies_inherit_configuration: Option<Spanned<bool>>,
}

/// One entry of `files`.
pub(in crate::manifest) enum FileMount {
    Glob(String),
    Placed { source: String, destination: String },
}

/// `[component.<id>.build]`.
pub(in crate::manifest) struct Build {
    pub(in crate::manifest) command: Spanned<Vec<String>>,
    pub(in crate::manifest) workdir: Option<String>,
    pub(in crate::manifest) watch: Vec<String>,
}

impl Read for Component {
    fn read(item: &Item<'_>) -> Result<Self> {
        let mut table = Table::open(item)?;
        table.refuse(
            "allowed_http_hosts",
            "write `allowed_outbound_hosts = [\"https://…\"]`, which replaces it",
        )?;
        table.refuse(
            "ai_models",
            "call a model over HTTP, with its host in `allowed_outbound_hosts`",
        )?;
        table.refuse("targets", NO_TARGETS)?;
        table.refuse(
            "profile",
            "write the settings of that profile into the component itself",
        )?;
        let mut component = Self {
            span: item.span(),
            source: match table.item("source") {
                Some(source) => file_source(&source)?,
                None => table.required("source", "source = \"path/to/component.wasm\"")?,
            },
            description: table.optional("description")?,
            variables: table.or_default("variables")?,
            environment: table.or_default("environment")?,
            files: table.or_default("files")?,
            exclude_files: table.or_default("exclude_files")?,
            allowed_outbound_hosts: table.or_default("allowed_outbound_hosts")?,
            key_value_stores: table.or_default("key_value_stores")?,
            sqlite_databases: table.or_default("sqlite_databases")?,
            build: table.optional("build")?,
            probe: None,
            limits: Limits::default(),
            instances: Instances::default(),
            connections: Connections {
                dependencies: table.or_default("dependencies")?,
                dependencies_inherit_configuration: table.optional("dependencies_inherit_configuration")?,
                links: Entries::default(),
            },
        };
        let tool: ComponentTool = table.or_default("tool")?;
        component.probe = tool.probe;
        component.limits = tool.limits;
        component.instances = tool.instances;
        component.connections.links = tool.links;
        table.close(Owner::Spin)?;
        Ok(component)
    }
}

/// `source` as a path; the forms that fetch something are refused by name.
fn file_source(item: &Item<'_>) -> Result<Spanned<String>> {
    if item.is_string() {
        return Spanned::read(item);
    }
    if !item.is_table() {
        return item.wrong_type("the path of a component");
    }
    let mut table = Table::open(item)?;
    let is_url = table.item("url").is_some() | table.item("digest").is_some();
    let is_package =
        table.item("package").is_some() | table.item("registry").is_some() | table.item("version").is_some();
    table.close(Owner::Spin)?;
    let kind = match (is_url, is_package) {
        (true, _) => "from a URL",
        (false, true) => "from a registry",
        (false, false) => return item.wrong_type("the path of a component"),
    };
    let what = format!("{} {kind}", item.name());
    fail(
        Fault::Unsupported {
            what,
            instead: NOT_A_FILE.to_owned(),
        },
        item.span(),
    )
}

impl Read for FileMount {
    fn read(item: &Item<'_>) -> Result<Self> {
        if item.is_string() {
            return String::read(item).map(Self::Glob);
        }
        if !item.is_table() {
            return item.wrong_type("a glob or `{ source = \"…\", destination = \"…\" }`");
        }
        let mut table = Table::open(item)?;
        let source = table.required("source", "{ source = \"assets\", destination = \"/\" }")?;
        let destination = table.required("destination", "{ source = \"assets\", destination = \"/\" }")?;
        table.close(Owner::Spin)?;
        Ok(Self::Placed { source, destination })
    }
}

impl Read for Build {
    fn read(item: &Item<'_>) -> Result<Self> {
        let mut table = Table::open(item)?;
        let command = match table.item("command") {
            Some(command) if command.is_string() => {
                Spanned::new(command.span(), vec![String::read(&command)?])
            }
            Some(command) if command.elements().is_none() => {
                return command.wrong_type("a command or a list of commands");
            }
            _ => table.required(
                "command",
                "command = \"cargo build --target wasm32-wasip2 --release\"",
            )?,
        };
        let build = Self {
            command,
            workdir: table.optional("workdir")?,
            watch: table.or_default("watch")?,
        };
        table.close(Owner::Spin)?;
        Ok(build)
    }
}
