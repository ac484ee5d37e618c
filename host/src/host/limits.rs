//! The limits of a service: what its manifest sets, under what the operator of this host allows.

use super::Error;
use super::linking;
use super::runtime_config::RuntimeConfig;
use crate::manifest::{App, Service};
use crate::model::Limits;
use crate::model::quantity::bytes_text;

/// The limits that a service runs under on this host.
///
/// # Errors
/// The manifest asks for more memory of one instance than the operator allows. Its default is lowered instead.
pub(super) fn of(service: &Service, config: &RuntimeConfig) -> Result<Limits, Error> {
    let mut limits = service.limits.clone();
    let allowed = max_instance_memory(config);
    if limits.instance_memory > allowed {
        if let Some(location) = &service.instance_memory {
            return Err(Error::InstanceMemory {
                service: service.name.clone(),
                location: location.clone(),
                asked: bytes_text(limits.instance_memory),
                allowed: bytes_text(allowed),
            });
        }
        limits.instance_memory = allowed;
    }
    let most = config.midplane.sqlite.max_database_bytes;
    limits.database_size = limits.database_size.map(|size| size.min(most));
    Ok(limits)
}

/// What one instance of any service may have.
pub(super) fn max_instance_memory(config: &RuntimeConfig) -> u64 {
    let most = Limits::MAX_INSTANCE_MEMORY;
    config
        .max_instance_memory
        .map_or(most, |allowed| allowed.min(most))
}

/// What the manifest sets and cannot have, since something else is tighter: a line for each.
pub(super) fn without_effect(app: &App, config: &RuntimeConfig) -> Vec<String> {
    let most = config.midplane.sqlite.max_database_bytes;
    let mut lines = Vec::new();
    for service in app.services.values() {
        lines.extend(linking::without_effect(service, app));
        let has_data = !service.key_value_stores.is_empty() || !service.sqlite_databases.is_empty();
        if let Some(size) = service
            .limits
            .database_size
            .filter(|size| has_data && *size > most)
        {
            lines.push(format!(
                "`database_size = \"{}\"` of service `{}` has no effect: the runtime configuration allows {}",
                bytes_text(size),
                service.name,
                bytes_text(most)
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::manifest;
    use crate::model::ServiceName;

    fn app(app: &str, own: &str) -> App {
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"shop\"\n[application.tool.midplane]\n{app}\n\
             [component.a]\nsource = \"a.wasm\"\nsqlite_databases = [\"default\"]\n[component.a.tool.midplane]\n{own}\n\
             [component.b]\nsource = \"b.wasm\"\n"
        );
        manifest::parse(&text, Path::new("/shop/spin.toml")).unwrap()
    }

    fn of_a(app: &App, config: &RuntimeConfig) -> Result<Limits, Error> {
        of(
            app.services.get(&ServiceName::parse("a").unwrap()).unwrap(),
            config,
        )
    }

    fn allowing(bytes: u64) -> RuntimeConfig {
        RuntimeConfig {
            max_instance_memory: Some(bytes),
            ..RuntimeConfig::default()
        }
    }

    #[test]
    fn who_asks_for_more_memory_than_the_operator_allows_is_told_both() {
        for (of_app, own, place) in [
            ("", "limits = { instance_memory = \"96MiB\" }", "spin.toml:10:"),
            ("limits = { instance_memory = \"96MiB\" }", "", "spin.toml:5:"),
        ] {
            let app = app(of_app, own);
            assert_eq!(of_a(&app, &allowing(96 << 20)).unwrap().instance_memory, 96 << 20);
            assert_eq!(
                of_a(&app, &RuntimeConfig::default()).unwrap().instance_memory,
                96 << 20
            );
            let error = of_a(&app, &allowing(64 << 20)).unwrap_err();
            let told = format!("{error}\n{}", error.hint().unwrap());
            for wanted in ["96MiB", "64MiB", "max_instance_memory", "`a`", place] {
                assert!(told.contains(wanted), "{wanted}: {told}");
            }
        }
    }

    #[test]
    fn who_asks_for_nothing_gets_what_there_is() {
        let app = app("", "");
        let memory = |config: &RuntimeConfig| of_a(&app, config).unwrap().instance_memory;
        assert_eq!(memory(&RuntimeConfig::default()), 128 << 20);
        assert_eq!(memory(&allowing(64 << 20)), 64 << 20);
        // A ceiling is not what everybody gets.
        assert_eq!(memory(&allowing(1 << 30)), 128 << 20);
    }

    #[test]
    fn a_database_is_no_larger_than_the_operator_allows() {
        let app = app("", "limits = { database_size = \"1GiB\" }");
        let mut config = RuntimeConfig::default();
        assert_eq!(of_a(&app, &config).unwrap().database_size, Some(1 << 30));
        assert!(without_effect(&app, &config).is_empty());
        config.midplane.sqlite.max_database_bytes = 1 << 20;
        assert_eq!(of_a(&app, &config).unwrap().database_size, Some(1 << 20));
        assert_eq!(
            without_effect(&app, &config),
            [
                "`database_size = \"1GiB\"` of service `a` has no effect: the runtime configuration allows 1MiB"
            ]
        );
    }
}
