//! What a revision may touch: the capabilities that its component imports, as far as its manifest entry grants them.
//!
//! A revision that may newly touch something is not published unless its operator says so. So what counts is both: a grant
//! that nobody imports cannot be used, and an import without a grant answers with the interface's own error. Links need no
//! grant, but they do reach another service.
//!
//! Which interface gives access to what is decided in one table, [`crate::compose::needs`]. Rust's standard library imports
//! WASI in every component, so its imports tell little by themselves:
//! - `wasi:cli/environment` and `wasi:filesystem/preopens` touch what the manifest puts there, which mostly is nothing;
//!   `wasi:filesystem/types` touches nothing, since a descriptor comes from `preopens` alone;
//! - in WASI 0.2 only the interfaces that make sockets or look names up touch the network, in 0.3 `wasi:sockets/types` does;
//! - requests go out by `wasi:http/outgoing-handler` and `wasi:http/client`; `wasi:http/types` touches nothing;
//! - clocks, random numbers, standard output and exit touch nothing;
//! - an interface of the host that nobody knows touches everything that is granted.
//!
//! *Invariant*: equal lines mean equal rights. The reverse does not hold: a pattern that covers less than it did is a new line
//! and a lost one. Values of variables and of the environment are no part of it.

use std::collections::BTreeSet;
use std::path::Path;

use crate::compose::{self, Needs};
use crate::link::ResolvedLink;
use crate::manifest::{App, FileMount, Service, Template};
use crate::model::outbound_host::default_port;
use crate::model::{DataScope, Inheritable, InterfaceName, Label};

#[cfg(test)]
mod tests;

/// What one revision may touch: lines for people, such as `key-value: default`, that are compared as they stand.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Grants(BTreeSet<String>);

impl Grants {
    /// The lines, sorted.
    #[cfg(test)]
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// The lines as they were read back from where they had been kept.
#[cfg(test)]
impl FromIterator<String> for Grants {
    fn from_iter<T: IntoIterator<Item = String>>(lines: T) -> Self {
        Self(lines.into_iter().collect())
    }
}

/// What one revision may touch and another may not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct GrantDiff {
    /// What only the new one may touch, sorted.
    pub(super) new: Vec<String>,
    /// What only the old one may touch, sorted.
    pub(super) lost: Vec<String>,
}

/// How the rights of a service change from its revision `old` to its revision `new`.
#[must_use]
pub(super) fn diff(old: &Grants, new: &Grants) -> GrantDiff {
    GrantDiff {
        new: new.0.difference(&old.0).cloned().collect(),
        lost: old.0.difference(&new.0).cloned().collect(),
    }
}

/// What a revision of `service` may touch.
///
/// `imports` are the names that its component imports, once its dependencies are composed into it; `hosts` its
/// `allowed_outbound_hosts`, templates resolved; of `links` those count that it calls by.
#[must_use]
pub(super) fn grants(
    app: &App,
    service: &Service,
    imports: &[impl AsRef<str>],
    hosts: &[impl AsRef<str>],
    links: &[ResolvedLink],
) -> Grants {
    let touched = Touched::by(imports);
    let mut lines = BTreeSet::new();
    for part in &touched.parts {
        match part {
            Inheritable::KeyValueStores => lines.extend(labels("key-value", &service.key_value_stores, app)),
            Inheritable::SqliteDatabases => lines.extend(labels("sqlite", &service.sqlite_databases, app)),
            Inheritable::Variables => lines.extend(variables(service)),
            Inheritable::Environment => {
                let names = service.environment.keys();
                lines.extend(names.map(|name| format!("environment: {}", name.escape_debug())));
            }
            Inheritable::Files => lines.extend(files(service, &app.dir)),
            Inheritable::AllowedOutboundHosts => {
                let entries = hosts.iter().map(|entry| normal(entry.as_ref()));
                let reached = entries.filter(|entry| touched.reaches(entry));
                lines.extend(reached.map(|entry| format!("outbound: {entry}")));
            }
            // No manifest grants them.
            Inheritable::AiModels => {}
        }
    }
    let own = links.iter().filter(|link| link.caller == service.name);
    lines.extend(own.map(|link| format!("link: {} ({})", link.callee, link.import)));
    Grants(lines)
}

/// What a component's imports give access to.
#[derive(Default)]
struct Touched {
    parts: BTreeSet<Inheritable>,
    /// By which schemes it gets out, if not by all.
    schemes: BTreeSet<&'static str>,
    by_every_scheme: bool,
}

/// The schemes of requests.
const HTTP: [&str; 2] = ["http", "https"];
/// The schemes that grants for sockets have.
const SOCKETS: [&str; 2] = ["tcp", "udp"];

impl Touched {
    fn by(imports: &[impl AsRef<str>]) -> Self {
        let mut touched = Self::default();
        // What has no name of an interface is not the host's to provide.
        for import in imports
            .iter()
            .filter_map(|name| InterfaceName::parse(name.as_ref()).ok())
        {
            match compose::needs(&import) {
                None | Some(Needs::Nothing) => {}
                Some(Needs::Grant(part)) => {
                    touched.parts.insert(part);
                    if part == Inheritable::AllowedOutboundHosts {
                        touched.goes_out_by(&import);
                    }
                }
                Some(Needs::Everything) => {
                    touched.parts.extend(Inheritable::ALL);
                    touched.by_every_scheme = true;
                }
            }
        }
        touched
    }

    fn goes_out_by(&mut self, import: &InterfaceName) {
        match (import.package(), import.interface()) {
            ("wasi:http", _) | ("fermyon:spin", "http") => self.schemes.extend(HTTP),
            ("wasi:sockets", _) => self.schemes.extend(SOCKETS),
            _ => self.by_every_scheme = true,
        }
    }

    /// Whether an entry of `allowed_outbound_hosts` is for something that it can send.
    fn reaches(&self, entry: &str) -> bool {
        let scheme = entry.split_once("://").map_or("*", |(scheme, _)| scheme);
        self.by_every_scheme || scheme == "*" || self.schemes.contains(scheme)
    }
}

/// Data that belongs to the app is another right than data that is the service's own.
fn labels(kind: &str, labels: &BTreeSet<Label>, app: &App) -> impl Iterator<Item = String> {
    let shared = match app.data {
        DataScope::PerService => "",
        DataScope::App => " (shared by the app)",
    };
    labels.iter().map(move |label| format!("{kind}: {label}{shared}"))
}

/// Its variables, and of which of the app's they are made.
fn variables(service: &Service) -> impl Iterator<Item = String> {
    let sources = |template: &Template| {
        let names: BTreeSet<String> = template.variables().map(ToString::to_string).collect();
        let names: Vec<String> = names.into_iter().collect();
        match names.as_slice() {
            [] => String::new(),
            names => format!(" (from {})", names.join(", ")),
        }
    };
    let variables = service.variables.iter();
    variables.map(move |(name, template)| format!("variable: {name}{}", sources(template)))
}

/// Its files. What is left out belongs to the right: leaving out less is a new one.
fn files(service: &Service, dir: &Path) -> impl Iterator<Item = String> {
    let excluded: BTreeSet<&str> = service.exclude_files.iter().map(String::as_str).collect();
    let excluded: Vec<String> = excluded
        .iter()
        .map(|glob| glob.escape_debug().to_string())
        .collect();
    let without = match excluded.as_slice() {
        [] => String::new(),
        excluded => format!(" without {}", excluded.join(", ")),
    };
    service.files.iter().map(move |mount| match mount {
        FileMount::Glob { pattern } => format!("files: {}{without}", pattern.escape_debug()),
        FileMount::Directory { source, destination } => {
            let source = source.strip_prefix(dir).unwrap_or(source);
            format!(
                "files: {} at {}{without}",
                source.to_string_lossy().escape_debug(),
                destination.escape_debug()
            )
        }
    })
}

/// One spelling for an entry that has several: in lower case, with its port, without a slash at its end.
fn normal(entry: &str) -> String {
    let entry = entry.trim().to_ascii_lowercase();
    let Some((scheme, rest)) = entry.split_once("://") else {
        return entry;
    };
    let host = rest.strip_suffix('/').unwrap_or(rest);
    // What follows the host; the colons of an IPv6 address are none of a port.
    let after = host
        .rfind(']')
        .map_or(host, |bracket| host.get(bracket..).unwrap_or(""));
    match default_port(scheme) {
        Some(port) if !after.contains(':') && host != "self" => format!("{scheme}://{host}:{port}"),
        _ => format!("{scheme}://{host}"),
    }
}
