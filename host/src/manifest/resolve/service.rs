//! `[component.<id>]` and inline components: paths made absolute, templates parsed against `[variables]`, labels,
//! globs and outbound hosts checked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component as PathPart, Path};

use toml::Spanned;

use super::{Resolver, invalid, limits, parse_name, probe};
use crate::manifest::app::{AllowedHost, Build, FileMount, Service};
use crate::manifest::error::{Fault, shorten};
use crate::manifest::raw;
use crate::manifest::read::{Entries, Result, fail};
use crate::manifest::template::Template;
use crate::model::outbound_host::AllowedHosts;
use crate::model::{Label, ServiceName, VariableName};

impl Resolver<'_> {
    /// The service that `raw` describes, without links and dependencies: these wait until all services are known.
    pub(super) fn service(&mut self, name: ServiceName, raw: raw::Component) -> Result<Service> {
        let not_empty = "write the path of the component file";
        if raw.source.get_ref().is_empty() {
            return invalid("the source", "it is empty", Some(not_empty), raw.source.span());
        }
        let mut variables = BTreeMap::new();
        for (name, text) in raw.variables.0 {
            parse_name(&name, "the name of the variable", VariableName::parse)?;
            variables.insert(name.into_inner(), self.template(&text)?);
        }
        self.connections.push((name.clone(), raw.connections));
        let limits = limits::limits(&raw.limits, self.limits)?;
        let instances = limits::instances(&raw.instances, self.instances, &limits)?;
        let instance_memory = raw.limits.instance_memory.as_ref();
        let instance_memory = instance_memory.or(self.limits.instance_memory.as_ref());
        Ok(Service {
            name,
            source: self.dir.join(raw.source.get_ref()),
            description: raw.description,
            variables,
            environment: environment(raw.environment)?,
            files: raw
                .files
                .into_iter()
                .map(|mount| self.file_mount(mount))
                .collect::<Result<_>>()?,
            exclude_files: raw.exclude_files.into_iter().map(glob).collect::<Result<_>>()?,
            allowed_outbound_hosts: raw
                .allowed_outbound_hosts
                .iter()
                .map(|host| self.allowed_host(host))
                .collect::<Result<_>>()?,
            key_value_stores: labels(&raw.key_value_stores)?,
            sqlite_databases: labels(&raw.sqlite_databases)?,
            build: raw.build.map(|build| self.build(build)).transpose()?,
            probe: raw.probe.map(probe::resolve).transpose()?,
            limits,
            instance_memory: instance_memory.map(|text| self.source.location(&text.span())),
            instances,
            links: BTreeMap::new(),
            dependencies: Vec::new(),
            location: self.source.location(&raw.span),
        })
    }

    /// A template whose variables all exist.
    fn template(&self, text: &Spanned<String>) -> Result<Template> {
        let template = Template::parse(text.get_ref()).or_else(|error| {
            let hint = Some("write `{{ name }}` with the name of one of the `[variables]`");
            invalid(
                format!("the template {:?}", shorten(text.get_ref())),
                error.to_string(),
                hint,
                text.span(),
            )
        })?;
        if let Some(name) = template
            .variables()
            .find(|name| !self.variables.contains_key(name.as_str()))
        {
            let fault = Fault::Dangling {
                kind: "variable",
                name: name.to_string(),
                candidates: self.variables.keys().cloned().collect(),
                declare: "`[variables]`",
            };
            return fail(fault, text.span());
        }
        Ok(template)
    }

    /// What is no template is checked now, the rest once its variables have values.
    fn allowed_host(&self, host: &Spanned<String>) -> Result<AllowedHost> {
        let template = self.template(host)?;
        if let Some(entry) = template.as_literal()
            && let Err(error) = AllowedHosts::parse([entry])
        {
            let mut reason = error.problem.to_string();
            let mut cause = std::error::Error::source(&error.problem);
            while let Some(error) = cause {
                reason = format!("{reason}: {error}");
                cause = error.source();
            }
            let hint =
                "entries look like `https://example.com`, `https://*.example.com:8443` or `*://10.0.0.0/8:*`";
            return invalid(
                format!("the outbound host {:?}", shorten(entry)),
                reason,
                Some(hint),
                host.span(),
            );
        }
        Ok(AllowedHost {
            template,
            location: self.source.location(&host.span()),
        })
    }

    fn file_mount(&self, mount: Spanned<raw::FileMount>) -> Result<FileMount> {
        let span = mount.span();
        match mount.into_inner() {
            raw::FileMount::Glob(pattern) => {
                glob(Spanned::new(span, pattern)).map(|pattern| FileMount::Glob { pattern })
            }
            raw::FileMount::Placed { source, destination } => {
                if source.is_empty() {
                    return invalid(
                        "the source",
                        "it is empty",
                        Some("`.` is the app's own directory"),
                        span,
                    );
                }
                if leaves(&destination) {
                    let what = format!("the destination {:?}", shorten(&destination));
                    return invalid(what, "it leaves the guest's root with `..`", None, span);
                }
                let destination = format!("/{}", destination.trim_start_matches('/'));
                Ok(FileMount::Directory {
                    source: self.dir.join(source),
                    destination,
                })
            }
        }
    }

    fn build(&self, build: raw::Build) -> Result<Build> {
        let span = build.command.span();
        let command = build.command.into_inner();
        if command.is_empty() || command.iter().any(|line| line.trim().is_empty()) {
            let hint = "write `command = \"cargo build --target wasm32-wasip2 --release\"`";
            return invalid("the build command", "it is empty", Some(hint), span);
        }
        let workdir = build
            .workdir
            .map_or_else(|| self.dir.to_owned(), |workdir| self.dir.join(workdir));
        Ok(Build {
            command,
            workdir,
            watch: build.watch,
        })
    }
}

fn environment(raw: Entries<String>) -> Result<BTreeMap<String, String>> {
    let mut environment = BTreeMap::new();
    for (name, value) in raw.0 {
        if name.get_ref().is_empty() || name.get_ref().contains(['=', '\0']) {
            let what = format!("the environment variable {:?}", shorten(name.get_ref()));
            return invalid(what, "a name is not empty and has no `=`", None, name.span());
        }
        environment.insert(name.into_inner(), value);
    }
    Ok(environment)
}

fn labels(raw: &[Spanned<String>]) -> Result<BTreeSet<Label>> {
    raw.iter()
        .map(|label| parse_name(label, "the label", Label::parse))
        .collect()
}

/// A glob that stays in the app's directory.
fn glob(pattern: Spanned<String>) -> Result<String> {
    let what = || format!("the glob {:?}", shorten(pattern.get_ref()));
    if let Err(error) = globset::Glob::new(pattern.get_ref()) {
        return invalid(what(), error.kind().to_string(), None, pattern.span());
    }
    if Path::new(pattern.get_ref()).is_absolute() || leaves(pattern.get_ref()) {
        let reason = "it leaves the directory of the manifest";
        let hint = "mount it by name: `files = [{ source = \"../assets\", destination = \"/assets\" }]`";
        return invalid(what(), reason, Some(hint), pattern.span());
    }
    Ok(pattern.into_inner())
}

/// Whether `path` has a `..` in it.
fn leaves(path: &str) -> bool {
    Path::new(path)
        .components()
        .any(|part| part == PathPart::ParentDir)
}
