//! What a manifest says, resolved: every name exists, every path is absolute, every default is filled in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use url::Url;

use super::error::Warning;
use super::source::Location;
use super::template::Template;
use crate::model::route::RoutePattern;
use crate::model::{
    AppName, DataScope, DependencyName, Digest, Inherit, Instances, InterfaceName, Label, Limits, Probe,
    ServiceName,
};

/// One app: what one manifest describes.
#[derive(Debug, Clone)]
pub struct App {
    /// `application.name`.
    pub name: AppName,
    /// `application.version`, empty where the manifest has none.
    pub version: String,
    /// `application.description`.
    pub description: Option<String>,
    /// Whom a data label belongs to.
    pub data: DataScope,
    /// `[variables]` by name.
    pub variables: BTreeMap<String, VariableDeclaration>,
    /// `[component.<id>]` by id, and the components that triggers hold inline.
    pub services: BTreeMap<ServiceName, Service>,
    /// `[[trigger.http]]` in the order of the file, without those that a later one of equal route replaces.
    pub triggers: Vec<HttpTrigger>,
    /// The directory of the manifest, absolute: what relative paths in it start from.
    pub dir: PathBuf,
    /// The manifest, absolute.
    pub file: PathBuf,
    /// SHA-256 of the manifest's text.
    pub digest: Digest,
    /// The manifest's text.
    pub text: Text,
    /// What is allowed and most likely not meant.
    pub warnings: Vec<Warning>,
}

/// The text of a manifest. `Debug` does not show it: defaults of secrets stand in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Arc<str>);

impl Text {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

/// One of the app's `[variables]`: either required or with a default.
#[derive(Clone, PartialEq, Eq)]
pub struct VariableDeclaration {
    /// A value must come from outside the manifest.
    pub required: bool,
    /// The value where nothing else gives one.
    pub default: Option<String>,
    /// The value must not be shown.
    pub secret: bool,
    /// For people.
    pub description: Option<String>,
}

/// Hides the default of a secret.
impl fmt::Debug for VariableDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = self
            .default
            .as_deref()
            .map(|text| if self.secret { "***" } else { text });
        f.debug_struct("VariableDeclaration")
            .field("required", &self.required)
            .field("default", &default)
            .field("secret", &self.secret)
            .field("description", &self.description)
            .finish()
    }
}

/// One service as the manifest declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its id.
    pub name: ServiceName,
    /// The component file, absolute. It need not exist before the build.
    pub source: PathBuf,
    /// For people.
    pub description: Option<String>,
    /// What the guest sees as its variables, by name.
    pub variables: BTreeMap<String, Template>,
    /// Environment variables of the guest, literal.
    pub environment: BTreeMap<String, String>,
    /// What the guest sees as files.
    pub files: Vec<FileMount>,
    /// Globs, relative to [`App::dir`], of files that `files` leaves out.
    pub exclude_files: Vec<String>,
    /// Where the guest may connect to.
    pub allowed_outbound_hosts: Vec<AllowedHost>,
    /// Labels of the key-value stores that it may open.
    pub key_value_stores: BTreeSet<Label>,
    /// Labels of the SQLite databases that it may open.
    pub sqlite_databases: BTreeSet<Label>,
    /// How the component file is made.
    pub build: Option<Build>,
    /// What a new revision must answer before it is published (`[component.<id>.tool.midplane.probe]`). It is of use only
    /// to a component with an HTTP handler.
    pub probe: Option<Probe>,
    /// What it may use (`[component.<id>.tool.midplane.limits]`, or the app's, or the default, key by key).
    pub limits: Limits,
    /// Where `instance_memory` is set, be it for the service or for the app; without it the default holds, or what the host
    /// allows if that is less.
    pub instance_memory: Option<Location>,
    /// How its instances serve (`[component.<id>.tool.midplane.instances]`, or the app's, or the default, key by key).
    pub instances: Instances,
    /// Imports that are bound to other services, in each Wasm store its own. No two are of one interface in one track of
    /// versions.
    pub links: BTreeMap<InterfaceName, LinkDeclaration>,
    /// Components that are composed into this one, in the order of the file. No import belongs to two of them.
    pub dependencies: Vec<Dependency>,
    /// Where its table begins in the manifest.
    pub location: Location,
}

/// One entry of `[component.<id>.tool.midplane.links]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkDeclaration {
    /// Another service of [`App::services`], which is to export the interface.
    pub service: ServiceName,
    /// How long one call may take: more than nothing, at most [`MAX_LINK_TIMEOUT`].
    pub timeout: Option<Duration>,
    /// Calls through this link at the same time.
    pub concurrency: Option<NonZeroU32>,
    /// Where it stands.
    pub location: Location,
}

/// The longest `timeout` of a link.
pub const MAX_LINK_TIMEOUT: Duration = Duration::from_secs(3600);

/// One entry of `[component.<id>.dependencies]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Which imports it satisfies.
    pub name: DependencyName,
    /// Where its component is.
    pub source: DependencySource,
    /// The export that satisfies the import, where it has another name: an interface or a plain name. A dependency for a
    /// package has none.
    pub export: Option<String>,
    /// What it may use of the configuration of the component that it is composed into.
    pub inherit: Inherit,
    /// Where it stands.
    pub location: Location,
}

/// Where the component of a dependency is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DependencySource {
    /// A file, absolute. It need not exist before the build.
    Path(PathBuf),
    /// To be fetched.
    Url {
        /// `http` or `https`, with a host.
        url: Url,
        /// What the fetched bytes must hash to.
        digest: Digest,
    },
    /// The component of another service of [`App::services`]. No service depends on itself by way of others.
    Component(ServiceName),
}

/// One entry of `files`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileMount {
    /// Files that match, each at its path relative to [`App::dir`].
    Glob {
        /// A glob relative to [`App::dir`], without `..`.
        pattern: String,
    },
    /// A directory with all that is in it (or one single file), at another place.
    Directory {
        /// The directory or file, absolute.
        source: PathBuf,
        /// Its place for the guest: starts with `/`, has no `..`.
        destination: String,
    },
}

/// One entry of `allowed_outbound_hosts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    /// The entry; its pattern is known once its variables are.
    pub template: Template,
    /// Where it stands.
    pub location: Location,
}

/// `[component.<id>.build]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Lines for `sh -c`, run one after the other, at least one.
    pub command: Vec<String>,
    /// Where they run, absolute.
    pub workdir: PathBuf,
    /// Globs relative to `workdir` of what the component is made of.
    pub watch: Vec<String>,
}

/// One `[[trigger.http]]`.
#[derive(Debug, Clone)]
pub struct HttpTrigger {
    /// Which requests it takes.
    pub route: TriggerRoute,
    /// Who answers them.
    pub target: TriggerTarget,
    /// Where it stands.
    pub location: Location,
}

/// `route` of a trigger.
#[derive(Debug, Clone)]
pub enum TriggerRoute {
    /// Requests whose path matches.
    Path(RoutePattern),
    /// No request from outside: the service is there for service chaining.
    Private,
}

/// `component` or `static_response` of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriggerTarget {
    /// A service of [`App::services`].
    Service(ServiceName),
    /// An answer that needs no service.
    Static(StaticResponse),
}

/// `static_response` of a trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticResponse {
    /// 200 unless said otherwise.
    pub status: StatusCode,
    /// As written.
    pub headers: HeaderMap,
    /// Empty unless said otherwise.
    pub body: Bytes,
}
