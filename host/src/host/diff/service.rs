//! What changes of the services.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::{Lines, Value, path, quoted, shortened};
use crate::manifest::{
    AllowedHost, App, Build, Dependency, DependencySource, FileMount, LinkDeclaration, Service,
};
use crate::model::{Digest, Inherit, Inheritable, Probe, ServiceName};

/// All services, by name.
pub(super) fn all(lines: &mut Lines, old: &App, new: &App) {
    let names: BTreeSet<&ServiceName> = old.services.keys().chain(new.services.keys()).collect();
    for name in names {
        let parts = |app: &App| app.services.get(name).map(|service| Parts::of(service, &app.dir));
        match (parts(old), parts(new)) {
            (Some(old), Some(new)) => {
                lines.within = format!("service {name}: ");
                old.compare(new, lines);
                lines.within = String::new();
            }
            (old, new) => lines.one(
                &format!("service {name}"),
                old.map(|parts| parts.source),
                new.map(|parts| parts.source),
            ),
        }
    }
}

/// What of a service is compared.
struct Parts {
    source: Value,
    build: Option<Value>,
    probe: Option<Value>,
    /// What there may be several of, with the word for one.
    several: [(&'static str, BTreeMap<String, Value>); 11],
}

impl Parts {
    fn of(service: &Service, dir: &Path) -> Self {
        let Service {
            // By which the two were found.
            name: _,
            source,
            description: _,
            variables,
            environment,
            files,
            exclude_files,
            allowed_outbound_hosts,
            key_value_stores,
            sqlite_databases,
            build,
            probe,
            limits,
            // Where one of them stands.
            instance_memory: _,
            instances,
            links,
            dependencies,
            location: _,
        } = service;
        let several = [
            (
                "link",
                entries(links, |(import, link)| (import.to_string(), self::link(link))),
            ),
            (
                "dependency",
                entries(dependencies, |dependency| self::dependency(dependency, dir)),
            ),
            (
                "key-value store",
                entries(key_value_stores, |label| there(label.to_string())),
            ),
            (
                "database",
                entries(sqlite_databases, |label| there(label.to_string())),
            ),
            (
                "outbound host",
                entries(allowed_outbound_hosts, |host| {
                    let AllowedHost {
                        template,
                        location: _,
                    } = host;
                    there(template.to_string())
                }),
            ),
            (
                "variable",
                entries(variables, |(name, template)| {
                    (name.clone(), Value::shown(quoted(&template.to_string())))
                }),
            ),
            (
                "environment",
                entries(environment, |(name, value)| {
                    (name.clone(), Value::shown(quoted(value)))
                }),
            ),
            ("files", entries(files, |mount| self::mount(mount, dir))),
            (
                "files left out:",
                entries(exclude_files, |glob| there(glob.clone())),
            ),
            ("limit", entries(limits.shown(), setting)),
            ("instances:", entries(instances.shown(), setting)),
        ];
        Self {
            source: Value::shown(relative(source, dir)),
            build: build.as_ref().map(|build| self::build(build, dir)),
            probe: probe.as_ref().map(self::probe),
            several,
        }
    }

    fn compare(self, new: Self, lines: &mut Lines) {
        lines.one("source", Some(self.source), Some(new.source));
        for ((what, old), (_, new)) in self.several.iter().zip(&new.several) {
            lines.each(what, old, new);
        }
        lines.one("probe", self.probe, new.probe);
        lines.one("build", self.build, new.build);
    }
}

fn entries<T>(
    from: impl IntoIterator<Item = T>,
    entry: impl FnMut(T) -> (String, Value),
) -> BTreeMap<String, Value> {
    from.into_iter().map(entry).collect()
}

fn setting((key, value): (&'static str, String)) -> (String, Value) {
    (key.to_owned(), Value::shown(value))
}

fn there(name: String) -> (String, Value) {
    (name, Value::nothing())
}

/// A path as the manifest may have it.
fn relative(file: &Path, dir: &Path) -> String {
    match file.strip_prefix(dir) {
        Ok(inside) if inside.as_os_str().is_empty() => ".".to_owned(),
        Ok(inside) => path(inside),
        Err(_) => path(file),
    }
}

fn link(link: &LinkDeclaration) -> Value {
    let LinkDeclaration {
        service,
        timeout,
        concurrency,
        location: _,
    } = link;
    let mut shown = format!("to {service}");
    if let Some(timeout) = timeout {
        shown.push_str(&format!(", timeout {timeout:?}"));
    }
    if let Some(concurrency) = concurrency {
        shown.push_str(&format!(", concurrency {concurrency}"));
    }
    Value::shown(shown)
}

fn dependency(dependency: &Dependency, dir: &Path) -> (String, Value) {
    let Dependency {
        name,
        source,
        export,
        inherit,
        location: _,
    } = dependency;
    let mut hidden = None;
    let mut shown = match source {
        DependencySource::Path(file) => relative(file, dir),
        DependencySource::Url { url, digest } => {
            hidden = url.password().map(|password| {
                let digest = Digest::of(password.as_bytes());
                (digest, "the password of its URL")
            });
            let mut url = url.clone();
            if hidden.is_some() && url.set_password(Some("***")).is_err() {
                // A URL that has a password can have another.
                url.set_query(None);
            }
            format!("{}, sha256:{digest}", shortened(url.as_str()))
        }
        DependencySource::Component(service) => format!("component {service}"),
    };
    if let Some(export) = export {
        shown.push_str(&format!(", export {}", shortened(export)));
    }
    shown.push_str(&match inherit {
        Inherit::Nothing => ", inherits nothing".to_owned(),
        Inherit::All => ", inherits everything".to_owned(),
        Inherit::Some(parts) => {
            let parts: Vec<&str> = parts.iter().copied().map(Inheritable::as_str).collect();
            format!(", inherits {}", parts.join(" and "))
        }
    });
    (name.to_string(), Value { shown, hidden })
}

fn mount(mount: &FileMount, dir: &Path) -> (String, Value) {
    match mount {
        FileMount::Glob { pattern } => there(pattern.clone()),
        FileMount::Directory { source, destination } => there(format!(
            "{} at {destination}",
            source.strip_prefix(dir).unwrap_or(source).display()
        )),
    }
}

fn build(build: &Build, dir: &Path) -> Value {
    let Build {
        command,
        workdir,
        watch,
    } = build;
    let lines: Vec<String> = command.iter().map(|line| quoted(line)).collect();
    let mut shown = format!("{} in {}", lines.join(" then "), relative(workdir, dir));
    if !watch.is_empty() {
        let watched: Vec<String> = watch.iter().map(|glob| shortened(glob)).collect();
        shown.push_str(&format!(", watches {}", watched.join(", ")));
    }
    Value::shown(shown)
}

fn probe(probe: &Probe) -> Value {
    let Probe {
        method,
        path,
        headers,
        status,
        body_contains,
        timeout,
    } = probe;
    let status = status.map_or("200 to 299".to_owned(), |status| status.as_u16().to_string());
    let mut shown = format!("{method} {} answers {status}", shortened(path.as_str()));
    if let Some(text) = body_contains {
        shown.push_str(&format!(" with {} in the body", quoted(text)));
    }
    let timeout: &Duration = timeout;
    shown.push_str(&format!(" within {timeout:?}"));
    let mut values: Vec<u8> = Vec::new();
    let mut names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    for name in &names {
        for value in headers.get_all(*name) {
            // Neither name nor value can hold a line break.
            values.extend([name.as_bytes(), b"\n", value.as_bytes(), b"\n"].concat());
        }
    }
    if !names.is_empty() {
        shown.push_str(&format!(", sent with {}", names.join(", ")));
    }
    Value {
        shown,
        hidden: Some((Digest::of(&values), "the values of its headers")),
    }
}
