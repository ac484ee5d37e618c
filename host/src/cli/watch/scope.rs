//! Which services a file belongs to, and what follows from a change of it. Pure, apart from the globs' parsing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::WatchError;
use super::pattern::{Pattern, Root, normal};
use crate::manifest::{App, DependencySource, FileMount, Service};
use crate::model::ServiceName;

/// What follows from a change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// The service is to be built.
    Build(ServiceName),
    /// The component of the service may be another one.
    Component(ServiceName),
    /// What the manifest says or names is another.
    App,
}

/// The files of one app.
#[derive(Debug)]
pub(super) struct Scope {
    dir: PathBuf,
    manifest: PathBuf,
    services: Vec<ServiceScope>,
    /// Directories of the host itself.
    ignored: Vec<PathBuf>,
}

#[derive(Debug)]
struct ServiceScope {
    name: ServiceName,
    /// The component file and those of its dependencies.
    components: Vec<PathBuf>,
    /// What it is built of.
    watch: Vec<Pattern>,
    mounts: Vec<Pattern>,
    /// Relative to the app's directory: what `mounts` leave out.
    excluded: GlobSet,
}

impl Scope {
    /// The files of `app`; nothing in `ignored` matters.
    pub(super) fn new(app: &App, ignored: &[PathBuf]) -> Result<Self, WatchError> {
        let services = app
            .services
            .values()
            .map(|service| ServiceScope::new(app, service));
        Ok(Self {
            dir: normal(&app.dir),
            manifest: normal(&app.file),
            services: services.collect::<Result<_, _>>()?,
            ignored: ignored.iter().map(|path| normal(path)).collect(),
        })
    }

    /// What follows from a change of the file at `path`, which is absolute.
    pub(super) fn effects(&self, path: &Path) -> BTreeSet<Effect> {
        let mut effects = BTreeSet::new();
        if self.ignored.iter().any(|ignored| path.starts_with(ignored)) {
            return effects;
        }
        if self.is_manifest(path) {
            effects.insert(Effect::App);
        }
        for service in &self.services {
            if service.components.iter().any(|component| component == path) {
                effects.insert(Effect::Component(service.name.clone()));
            } else if service.watch.iter().any(|pattern| pattern.matches(path)) {
                effects.insert(Effect::Build(service.name.clone()));
            }
            let excluded = || {
                path.strip_prefix(&self.dir)
                    .is_ok_and(|path| service.excluded.is_match(path))
            };
            if service.mounts.iter().any(|pattern| pattern.matches(path)) && !excluded() {
                effects.insert(Effect::App);
            }
        }
        effects
    }

    /// Whether anything follows from a change of `path`.
    pub(super) fn concerns(&self, path: &Path) -> bool {
        !self.effects(path).is_empty()
    }

    /// Whether `path` is the manifest.
    pub(super) fn is_manifest(&self, path: &Path) -> bool {
        self.manifest == path
    }

    /// The files that the component of each service is made of.
    pub(super) fn components(&self) -> BTreeMap<ServiceName, Vec<PathBuf>> {
        let of = |service: &ServiceScope| (service.name.clone(), service.components.clone());
        self.services.iter().map(of).collect()
    }

    /// Where all these files can lie.
    pub(super) fn roots(&self) -> BTreeSet<Root> {
        let components = self.services.iter().flat_map(|service| &service.components);
        let single = components.chain([&self.manifest]).filter_map(|file| {
            Some(Root {
                dir: file.parent()?.to_owned(),
                deep: false,
            })
        });
        let patterns = self
            .services
            .iter()
            .flat_map(|service| service.watch.iter().chain(&service.mounts));
        single.chain(patterns.flat_map(Pattern::roots)).collect()
    }

    /// Whether nothing in the directory matters.
    pub(super) fn ignores(&self, dir: &Path) -> bool {
        self.ignored.iter().any(|ignored| dir.starts_with(ignored))
    }

    /// `path` as people call it.
    pub(super) fn shown<'p>(&self, path: &'p Path) -> std::path::Display<'p> {
        path.strip_prefix(&self.dir).unwrap_or(path).display()
    }
}

impl ServiceScope {
    fn new(app: &App, service: &Service) -> Result<Self, WatchError> {
        let failed = |glob: &str, source: globset::Error| WatchError::Glob {
            service: service.name.clone(),
            glob: glob.to_owned(),
            source,
        };
        let dependencies = service
            .dependencies
            .iter()
            .filter_map(|dependency| match &dependency.source {
                DependencySource::Path(file) => Some(file.as_path()),
                DependencySource::Url { .. } | DependencySource::Component(_) => None,
            });
        let components = std::iter::once(service.source.as_path()).chain(dependencies);
        let mut watch = Vec::new();
        if let Some(build) = &service.build {
            for glob in &build.watch {
                watch.push(Pattern::new(&build.workdir, glob).map_err(|source| failed(glob, source))?);
            }
        }
        let mut mounts = Vec::new();
        for mount in &service.files {
            mounts.push(match mount {
                FileMount::Glob { pattern } => {
                    Pattern::new(&app.dir, pattern).map_err(|source| failed(pattern, source))?
                }
                FileMount::Directory { source, .. } => Pattern::tree(source),
            });
        }
        let mut excluded = GlobSetBuilder::new();
        for text in &service.exclude_files {
            let glob = GlobBuilder::new(text).literal_separator(false).build();
            excluded.add(glob.map_err(|source| failed(text, source))?);
        }
        Ok(Self {
            name: service.name.clone(),
            components: components.map(normal).collect(),
            watch,
            mounts,
            excluded: excluded
                .build()
                .map_err(|source| failed(&service.exclude_files.join(", "), source))?,
        })
    }
}

/// `services`, and all those of `app` into which the component of one of them is composed.
pub(super) fn with_dependents(app: &App, mut services: BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
    loop {
        let more: Vec<ServiceName> = app
            .services
            .values()
            .filter(|service| !services.contains(&service.name))
            .filter(|service| {
                service.dependencies.iter().any(
                    |dependency| matches!(&dependency.source, DependencySource::Component(of) if services.contains(of)),
                )
            })
            .map(|service| service.name.clone())
            .collect();
        if more.is_empty() {
            return services;
        }
        services.extend(more);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::manifest;

    fn app_of(components: &str) -> App {
        let text = format!("spin_manifest_version = 2\napplication = {{ name = \"app\" }}\n{components}");
        manifest::parse(&text, Path::new("/app/spin.toml")).unwrap()
    }

    /// The files of an app in `/app` with these tables, without those in `/app/.midplane`.
    pub(in super::super) fn scope_of(components: &str) -> Scope {
        Scope::new(&app_of(components), &["/app/.midplane".into()]).unwrap()
    }

    fn shop() -> Scope {
        scope_of(
            r#"
            [component.orders]
            source = "orders/target/wasm32-wasip2/release/orders.wasm"
            files = [{ source = "assets", destination = "/" }, "pages/**/*.html"]
            exclude_files = ["**/draft*"]
            [component.orders.build]
            command = "cargo build"
            workdir = "orders"
            watch = ["src/**/*.rs", "Cargo.toml", "../shared/src/**/*.rs"]
            [component.catalog]
            source = "catalog.wasm"
            dependencies = { "a:b/c" = { path = "deps/c.wasm" } }
            [component.catalog.build]
            command = "cargo build"
            workdir = "shop/catalog"
            watch = ["src/**/*.rs", "../../shared/**/*.rs"]
            [component.static]
            source = "static.wasm"
            "#,
        )
    }

    fn effects(scope: &Scope, path: &str) -> Vec<String> {
        let shown = |effect: &Effect| match effect {
            Effect::Build(service) => format!("build {service}"),
            Effect::Component(service) => format!("component {service}"),
            Effect::App => "app".to_owned(),
        };
        scope.effects(Path::new(path)).iter().map(shown).collect()
    }

    #[test]
    fn a_file_belongs_to_the_services_whose_globs_or_paths_name_it() {
        let scope = shop();
        for (path, expected) in [
            ("/app/orders/src/lib.rs", &["build orders"] as &[&str]),
            ("/app/orders/src/a/b.rs", &["build orders"]),
            ("/app/orders/Cargo.toml", &["build orders"]),
            ("/app/orders/Cargo.lock", &[]),
            ("/app/shop/catalog/src/lib.rs", &["build catalog"]),
            ("/app/shop/orders/src/lib.rs", &[]),
            ("/app/shared/src/lib.rs", &["build catalog", "build orders"]),
            ("/app/shared/tests/x.rs", &["build catalog"]),
            ("/app/shared/target/x.rs", &[]),
            (
                "/app/orders/target/wasm32-wasip2/release/orders.wasm",
                &["component orders"],
            ),
            ("/app/catalog.wasm", &["component catalog"]),
            ("/app/deps/c.wasm", &["component catalog"]),
            ("/app/static.wasm", &["component static"]),
            ("/app/spin.toml", &["app"]),
            ("/app/assets/style.css", &["app"]),
            ("/app/assets/deep/style.css", &["app"]),
            ("/app/assets/draft.css", &[]),
            ("/app/pages/a/index.html", &["app"]),
            ("/app/pages/a/index.md", &[]),
            ("/app/.midplane/journal.db", &[]),
            ("/elsewhere/src/lib.rs", &[]),
        ] {
            assert_eq!(effects(&scope, path), expected, "{path}");
            assert_eq!(scope.concerns(Path::new(path)), !expected.is_empty());
        }
    }

    #[test]
    fn the_hosts_own_files_are_none_of_the_app_even_if_a_glob_names_them() {
        let scope = scope_of("[component.a]\nsource = \"a.wasm\"\nfiles = [\"**/*\"]\n");
        assert_eq!(effects(&scope, "/app/page.html"), ["app"]);
        assert_eq!(effects(&scope, "/app/.midplane/content/x"), [] as [&str; 0]);
        assert!(scope.ignores(Path::new("/app/.midplane/content")));
    }

    #[test]
    fn a_bad_glob_is_an_error_that_names_it() {
        let app =
            app_of("[component.a]\nsource = \"a.wasm\"\nbuild = { command = \"x\", watch = [\"a[\"] }\n");
        let error = Scope::new(&app, &[]).unwrap_err();
        assert_eq!(error.to_string(), "`a[` of a is no glob");
    }

    #[test]
    fn services_into_which_a_component_is_composed_go_with_it() {
        let app = app_of(
            r#"
            [component.a]
            source = "a.wasm"
            [component.b]
            source = "b.wasm"
            dependencies = { "x:y/z" = { component = "a" } }
            [component.c]
            source = "c.wasm"
            dependencies = { "x:y/z" = { component = "b" } }
            [component.d]
            source = "d.wasm"
            "#,
        );
        let name = |text: &str| ServiceName::parse(text).unwrap();
        let with = with_dependents(&app, BTreeSet::from([name("a")]));
        assert_eq!(with, BTreeSet::from([name("a"), name("b"), name("c")]));
        assert_eq!(with_dependents(&app, BTreeSet::from([name("d")])).len(), 1);
    }
}
