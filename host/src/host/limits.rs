//! The limits of a service: what its manifest sets, under what the operator of this host allows.

use super::Error;
use super::linking;
use super::prepare::engine_settings;
use super::runtime_config::RuntimeConfig;
use crate::engine::most_instances;
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
    let slots = engine_settings(config).max_instances;
    for service in app.services.values() {
        lines.extend(linking::without_effect(service, app));
        lines.extend(more_than_slots(service, slots));
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

/// A service that asks for more places than there can be instances of it. What is asked of no service in particular is the
/// operator's to bound.
fn more_than_slots(service: &Service, slots: u32) -> Option<String> {
    let (places, each) = (
        service.limits.concurrency.get(),
        service.instances.concurrency.get(),
    );
    let most = most_instances(slots);
    let is_asked = service.limits.concurrency != Limits::default().concurrency;
    (is_asked && places.div_ceil(each) > most).then(|| {
        format!(
            "`concurrency = {places}` of service `{}` has no effect beyond {}: of the {slots} pool slots (`max_instances`) one \
             service gets {most}",
            service.name,
            most.saturating_mul(each)
        )
    })
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
    fn who_asks_for_more_places_than_there_can_be_instances_is_told() {
        let mut config = RuntimeConfig::default();
        let told = |own: &str, config: &RuntimeConfig| without_effect(&app("", own), config);
        assert!(told("limits = { concurrency = 750 }", &config).is_empty());
        assert_eq!(
            told("limits = { concurrency = 10_000 }", &config),
            [
                "`concurrency = 10000` of service `a` has no effect beyond 751: of the 1000 pool slots (`max_instances`) one \
                 service gets 751"
            ]
        );
        let shared = "limits = { concurrency = 10_000 }\ninstances = { concurrency = 20 }";
        assert!(told(shared, &config).is_empty());
        config.midplane.max_instances = Some(10);
        assert!(told("", &config).is_empty(), "nobody asked for 64");
        assert_eq!(told("limits = { concurrency = 9 }", &config).len(), 1);
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
