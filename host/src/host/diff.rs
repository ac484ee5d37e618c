//! What changes from one manifest of an app to the next: lines for people, who read them before they let it happen.
//!
//! Structures of the manifest are taken apart without `..`, so that a new key does not compile until it is considered here.
//! Places, comments and descriptions are no change, and neither is the order of what has none.
//!
//! *Invariant*: no default of a secret is shown, neither if it was one before nor if it becomes one; no header of a probe is
//! shown with its value. What comes from the manifest is shown without control characters and shortened
//! ([`MAX_SHOWN_CHARS`]); what is left out then still tells two values apart.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use crate::manifest::{
    App, HttpTrigger, Service, StaticResponse, TriggerRoute, TriggerTarget, VariableDeclaration,
};
use crate::model::route::RoutePattern;
use crate::model::{Digest, ServiceName};

mod service;
#[cfg(test)]
mod tests;

/// The longest text of the manifest that is shown, in characters.
pub(super) const MAX_SHOWN_CHARS: usize = 120;

/// What is different in `new`, a line for each: of the app, then its routes, its variables, and its services by name. Empty if
/// both mean the same. Component files are not looked at.
#[must_use]
pub(super) fn differences(old: &App, new: &App) -> Vec<String> {
    let (old, new) = (Parts::of(old), Parts::of(new));
    let mut lines = Lines::default();
    lines.one("app name", Some(old.name), Some(new.name));
    lines.one("app version", Some(old.version), Some(new.version));
    lines.one("app data", Some(old.data), Some(new.data));
    lines.one("app directory", Some(old.dir), Some(new.dir));
    routes(&mut lines, &old.routes, &new.routes);
    lines.each("private route to", &old.private, &new.private);
    variables(&mut lines, old.variables, new.variables);
    service::all(&mut lines, old.app, new.app);
    lines.lines
}

/// Whether both say the same of a service: in its entry, of the variables that it uses, and of whose its data is.
#[must_use]
pub(super) fn is_same_entry(old: &App, new: &App, service: &ServiceName) -> bool {
    let alone = |app: &App| {
        let mut app = app.clone();
        app.version = String::new();
        app.triggers.clear();
        app.services.retain(|name, _| name == service);
        let used: BTreeSet<String> = app.services.values().flat_map(used).collect();
        app.variables.retain(|name, _| used.contains(name));
        app
    };
    let (old, new) = (alone(old), alone(new));
    // Of a secret only its name is told, which says nothing of its default.
    old.variables == new.variables && differences(&old, &new).is_empty()
}

/// The names of the app's variables that a service's entry uses.
fn used(service: &Service) -> Vec<String> {
    let values = service.variables.values();
    let hosts = service.allowed_outbound_hosts.iter().map(|host| &host.template);
    values
        .chain(hosts)
        .flat_map(|template| template.variables().map(ToString::to_string))
        .collect()
}

/// What of an app is compared.
struct Parts<'a> {
    app: &'a App,
    name: Value,
    version: Value,
    data: Value,
    dir: Value,
    variables: &'a BTreeMap<String, VariableDeclaration>,
    routes: HashMap<&'a RoutePattern, &'a TriggerTarget>,
    private: BTreeMap<String, Value>,
}

impl<'a> Parts<'a> {
    fn of(app: &'a App) -> Self {
        let App {
            name,
            version,
            description: _,
            data,
            variables,
            // `service::all`
            services: _,
            triggers,
            dir,
            // The directory is what it means something by.
            file: _,
            digest: _,
            text: _,
            warnings: _,
        } = app;
        let mut routes = HashMap::new();
        let mut private = BTreeMap::new();
        for trigger in triggers {
            let HttpTrigger {
                route,
                target,
                location: _,
            } = trigger;
            match route {
                TriggerRoute::Path(pattern) => {
                    routes.insert(pattern, target);
                }
                TriggerRoute::Private => {
                    let to = match target {
                        TriggerTarget::Service(service) => service.to_string(),
                        // Nothing reaches it.
                        TriggerTarget::Static(_) => "a static response".to_owned(),
                    };
                    private.insert(to, Value::nothing());
                }
            }
        }
        Self {
            app,
            name: Value::shown(name.to_string()),
            version: Value::shown(if version.is_empty() {
                "none".to_owned()
            } else {
                quoted(version)
            }),
            data: Value::shown(data.to_string()),
            dir: Value::shown(path(dir)),
            variables,
            routes,
            private,
        }
    }
}

/// Routes are the same if they cover the same paths; how one is written shows in the names that guests see.
fn routes(
    lines: &mut Lines,
    old: &HashMap<&RoutePattern, &TriggerTarget>,
    new: &HashMap<&RoutePattern, &TriggerTarget>,
) {
    let mut all: Vec<&RoutePattern> = new.keys().copied().collect();
    all.extend(old.keys().filter(|pattern| !new.contains_key(*pattern)));
    all.sort_by_key(|pattern| pattern.raw());
    for pattern in all {
        let entry = |of: &HashMap<&RoutePattern, &TriggerTarget>| {
            let (written, to) = of.get_key_value(pattern)?;
            Some((shortened(written.raw()), Value::shown(target(to))))
        };
        let what = format!("route {}", shortened(pattern.raw()));
        match (entry(old), entry(new)) {
            (Some((before, old)), Some((after, new))) => {
                if before != after {
                    lines.push(format!("{what} changed: it was written {before}"));
                }
                lines.one(&what, Some(old), Some(new));
            }
            (old, new) => lines.one(&what, old.map(|(_, to)| to), new.map(|(_, to)| to)),
        }
    }
}

fn target(target: &TriggerTarget) -> String {
    match target {
        TriggerTarget::Service(service) => format!("service {service}"),
        TriggerTarget::Static(response) => static_response(response),
    }
}

fn static_response(response: &StaticResponse) -> String {
    let StaticResponse {
        status,
        headers,
        body,
    } = response;
    let mut shown = format!("static response {}", status.as_u16());
    let headers: BTreeSet<String> = headers
        .iter()
        .map(|(name, value)| format!(", {name}: {}", quoted(&String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    shown.extend(headers);
    if !body.is_empty() {
        shown.push_str(&format!(", body {}", quoted(&String::from_utf8_lossy(body))));
    }
    shown
}

fn variables(
    lines: &mut Lines,
    old: &BTreeMap<String, VariableDeclaration>,
    new: &BTreeMap<String, VariableDeclaration>,
) {
    let shown = |of: &BTreeMap<String, VariableDeclaration>| {
        let values = of.iter().map(|(name, declared)| {
            let is_secret = [old, new]
                .iter()
                .any(|app| app.get(name).is_some_and(|variable| variable.secret));
            (name.clone(), variable(declared, is_secret))
        });
        values.collect::<BTreeMap<_, _>>()
    };
    lines.each("variable", &shown(old), &shown(new));
}

fn variable(declared: &VariableDeclaration, is_secret: bool) -> Value {
    let VariableDeclaration {
        required,
        default,
        secret,
        description: _,
    } = declared;
    let mut parts = Vec::new();
    if *secret {
        parts.push("secret".to_owned());
    }
    if *required {
        parts.push("required".to_owned());
    }
    match default {
        Some(_) if is_secret => parts.push("with a default".to_owned()),
        Some(default) => parts.push(format!("default {}", quoted(default))),
        None => {}
    }
    let hidden = default.as_ref().filter(|_| is_secret);
    Value {
        shown: parts.join(", "),
        hidden: hidden.map(|default| (Digest::of(default.as_bytes()), "its default")),
    }
}

/// A value as it is shown, and a digest of what is not, with the words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    shown: String,
    hidden: Option<(Digest, &'static str)>,
}

impl Value {
    fn shown(shown: String) -> Self {
        Self { shown, hidden: None }
    }

    /// Of what is there or not, and has no value.
    fn nothing() -> Self {
        Self::shown(String::new())
    }
}

/// The lines so far.
#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    /// What the following ones begin with.
    within: String,
}

impl Lines {
    fn push(&mut self, line: String) {
        self.lines.push(format!("{}{line}", self.within));
    }

    /// A line if something is there in one of the two, or has another value.
    fn one(&mut self, what: &str, old: Option<Value>, new: Option<Value>) {
        let with = |value: &Value| match value.shown.as_str() {
            "" => String::new(),
            shown => format!(": {shown}"),
        };
        match (old, new) {
            (None, Some(new)) => self.push(format!("{what} added{}", with(&new))),
            (Some(old), None) => self.push(format!("{what} removed{}", with(&old))),
            (Some(old), Some(new)) if old.shown != new.shown => {
                self.push(format!("{what} changed: {} → {}", old.shown, new.shown));
            }
            (Some(old), Some(new)) if old != new => {
                let hidden = old.hidden.or(new.hidden).map_or("its value", |(_, words)| words);
                self.push(format!("{what} changed: {hidden}"));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// The same for everything that has a name, in the order of names.
    fn each(&mut self, what: &str, old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>) {
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let what = format!("{what} {}", shortened(name));
            self.one(&what, old.get(name).cloned(), new.get(name).cloned());
        }
    }
}

/// Text of the manifest in quotes.
fn quoted(text: &str) -> String {
    cut(text, |text| format!("{text:?}"))
}

/// A name of the manifest, without quotes: in most there is nothing that has to be escaped.
fn shortened(text: &str) -> String {
    cut(text, |text| text.escape_debug().to_string())
}

/// Two texts that differ only where they are cut are told apart by the digest.
fn cut(text: &str, show: impl Fn(&str) -> String) -> String {
    match text.char_indices().nth(MAX_SHOWN_CHARS) {
        None => show(text),
        Some((end, _)) => format!(
            "{}… ({} bytes, sha256 {})",
            show(text.get(..end).unwrap_or_default()),
            text.len(),
            Digest::of(text.as_bytes()).short()
        ),
    }
}

fn path(path: &Path) -> String {
    shortened(&path.to_string_lossy())
}
