//! The picture of an app: who it is made of, who reaches whom, and what lies outside.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{DataScope, Digest, Label, ServiceName};

/// One app.
#[derive(Debug, Clone)]
pub struct Graph {
    /// Its name.
    pub app: String,
    /// Its version, empty where the manifest has none.
    pub version: String,
    /// Whom a data label belongs to.
    pub data_scope: DataScope,
    /// By name.
    pub services: Vec<ServiceNode>,
    /// In the order of the manifest.
    pub routes: Vec<RouteEdge>,
    /// By caller and import.
    pub links: Vec<LinkEdge>,
    /// By service, kind and label.
    pub data: Vec<DataEdge>,
    /// By service, in the order of the manifest.
    pub hosts: Vec<HostEdge>,
}

/// One service.
#[derive(Debug, Clone)]
pub struct ServiceNode {
    /// Its name.
    pub name: ServiceName,
    /// What is known of its component; `None` if it could not be read or compiled.
    pub component: Option<ComponentFacts>,
    /// Its limits that are not the default, by their keys.
    pub limits: Vec<(&'static str, String)>,
    /// What its instances are not by default, likewise.
    pub instances: Vec<(&'static str, String)>,
}

/// What a component is.
#[derive(Debug, Clone)]
pub struct ComponentFacts {
    /// SHA-256 of what runs: the file with its dependencies composed into it.
    pub digest: Digest,
    /// The size of that in bytes.
    pub bytes: usize,
    /// The newest WASI that it is built against, such as `0.3`; `None` if it uses none.
    pub wasi: Option<String>,
    /// Whether it needs the engine with component-model async.
    pub concurrent: bool,
    /// Whether it answers HTTP.
    pub handler: bool,
    /// Capabilities of the host that it imports, in words.
    pub capabilities: Vec<&'static str>,
    /// Interfaces of the host that it imports.
    pub imports: Vec<String>,
    /// Interfaces that it exports.
    pub exports: Vec<String>,
}

/// A trigger.
#[derive(Debug, Clone)]
pub struct RouteEdge {
    /// As in the manifest; `None` for a private one.
    pub route: Option<String>,
    /// Who answers.
    pub target: RouteTarget,
}

/// Who answers a route.
#[derive(Debug, Clone)]
pub enum RouteTarget {
    /// A service.
    Service(ServiceName),
    /// A response of the manifest, with this status.
    Static(u16),
}

/// An import that another component serves.
#[derive(Debug, Clone)]
pub struct LinkEdge {
    /// Who imports.
    pub caller: ServiceName,
    /// The interface, as the caller imports it.
    pub import: String,
    /// Who serves it.
    pub callee: LinkCallee,
    /// How the two came together.
    pub kind: LinkKind,
    /// The functions that the caller imports; empty for a composed link.
    pub functions: Vec<FunctionFacts>,
    /// The link's own deadline for a call.
    pub timeout: Option<Duration>,
    /// The link's own bound on calls at the same time.
    pub concurrency: Option<NonZeroU32>,
}

/// Who serves an import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkCallee {
    /// A service of the app.
    Service(ServiceName),
    /// A component that is no service of its own: a file or a URL.
    Component {
        /// The name of the file, or the URL without what could be a secret in it.
        name: String,
        /// What tells it from another one of that name: the whole path, or the same as the name.
        source: String,
    },
}

/// How an import came to who serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// The manifest says so; the callee lives in a sandbox of its own.
    Explicit,
    /// The callee is the only one that exports it; it lives in a sandbox of its own.
    Automatic,
    /// The callee is composed into the caller.
    Composed,
}

/// A function of a link.
#[derive(Debug, Clone)]
pub struct FunctionFacts {
    /// Its name.
    pub name: String,
    /// As WIT writes it, shortened.
    pub signature: String,
    /// Whether it is an `async func`.
    pub is_async: bool,
}

/// A data label of a service.
#[derive(Debug, Clone)]
pub struct DataEdge {
    /// Who uses it.
    pub service: ServiceName,
    /// What it is.
    pub kind: DataKind,
    /// Its label.
    pub label: Label,
    /// Who else means the same by that label.
    pub scope: EdgeScope,
}

/// What lies behind a data label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DataKind {
    /// A key-value store.
    KeyValue,
    /// A SQLite database.
    Sqlite,
}

/// Who shares the data of a label.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum EdgeScope {
    /// Nobody: it is the service's own.
    Service,
    /// Every service of the app that has the label.
    App,
    /// Everyone whose label leads to this file, by the runtime configuration.
    File(PathBuf),
}

/// Somewhere that a service may connect to.
#[derive(Debug, Clone)]
pub struct HostEdge {
    /// The service.
    pub service: ServiceName,
    /// The entry with the values of its variables; as in the manifest where these are not known.
    pub host: String,
    /// The services of the app that it stands for, if it is service chaining.
    pub chained: Vec<ServiceName>,
}
