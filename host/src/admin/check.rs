//! What a change asks for, checked as far as the request alone tells, with the field that is wrong.

use super::api::{Apply, Canary, Deploy, DeployOne, Promote, Rollback, Source};
use super::problem::Fault;
use super::request::Query;
use crate::model::{ServiceName, Sticky, Weight};

/// The longest time for requests to leave the old revisions, in seconds.
const MAX_DRAIN_SECONDS: f64 = 3600.0;
/// The most services in one deploy.
const MAX_SERVICES: usize = 256;
/// The most digits of a revision that are ever shown.
const REVISION_DIGITS: usize = 12;

pub(super) fn deploy(deploy: &Deploy) -> Result<(), Fault> {
    if deploy.services.is_empty() || deploy.services.len() > MAX_SERVICES {
        return Err(wrong(
            "services",
            format!("1 to {MAX_SERVICES} services are deployed"),
        ));
    }
    for (service, component) in &deploy.services {
        ServiceName::parse(service).map_err(|error| {
            wrong(
                "services",
                format!("`{service}` is no name of a service: {error}"),
            )
        })?;
        source(&format!("services.{service}"), component)?;
    }
    options(deploy.canary.as_ref(), deploy.drain_timeout)
}

/// The deploy of one service that `asked` means.
pub(super) fn deploy_one(service: &ServiceName, asked: DeployOne) -> Result<Deploy, Fault> {
    let component = match (asked.component, asked.path) {
        (Some(component), None) => Source::Component(component),
        (None, Some(path)) => Source::Path(path),
        _ => {
            return Err(Fault::invalid(
                "Exactly one of `component` and `path` must be given.",
            ));
        }
    };
    let meant = Deploy {
        services: [(service.to_string(), component)].into(),
        canary: asked.canary,
        allow_new_grants: asked.allow_new_grants,
        drain_timeout: asked.drain_timeout,
    };
    deploy(&meant)?;
    Ok(meant)
}

/// The options of a deploy whose body is the component itself.
pub(super) fn deploy_options(query: &mut Query) -> Result<DeployOne, Fault> {
    let (weight, sticky) = (query.take("canary"), query.take("sticky"));
    let canary = match (weight, sticky) {
        (Some(weight), sticky) => Some(Canary { weight, sticky }),
        (None, None) => None,
        (None, Some(_)) => {
            return Err(wrong(
                "sticky",
                "it says how a canary's requests are chosen, and there is no `canary`",
            ));
        }
    };
    let asked = DeployOne {
        canary,
        allow_new_grants: query
            .value("allow_new_grants", "`true` or `false`")?
            .unwrap_or_default(),
        drain_timeout: query.value("drain_timeout", "a number of seconds")?,
        ..DeployOne::default()
    };
    options(asked.canary.as_ref(), asked.drain_timeout)?;
    Ok(asked)
}

pub(super) fn promote(promote: &Promote) -> Result<(), Fault> {
    if let Some(share) = &promote.weight {
        weight("weight", share)?;
    }
    drain_timeout(promote.drain_timeout)
}

/// What holds requests, if the other share of a candidate says so.
pub(super) fn canary(field: &str, canary: &Canary) -> Result<Option<Sticky>, Fault> {
    weight(&format!("{field}weight"), &canary.weight)?;
    canary
        .sticky
        .as_deref()
        .map(Sticky::parse)
        .transpose()
        .map_err(|error| wrong(&format!("{field}sticky"), error))
}

pub(super) fn rollback(rollback: &Rollback) -> Result<(), Fault> {
    if let Some(digits) = &rollback.revision {
        revision("revision", digits)?;
    }
    drain_timeout(rollback.drain_timeout)
}

pub(super) fn apply(apply: &Apply) -> Result<(), Fault> {
    path("manifest", &apply.manifest)?;
    drain_timeout(apply.drain_timeout)
}

/// The beginning of a revision's identity.
pub(super) fn revision(field: &str, digits: &str) -> Result<(), Fault> {
    let are_digits = digits
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if (1..=REVISION_DIGITS).contains(&digits.len()) && are_digits {
        return Ok(());
    }
    let wanted = format!("a revision is named by 1 to {REVISION_DIGITS} hexadecimal digits, in lower case");
    Err(wrong(field, wanted))
}

fn options(canary: Option<&Canary>, drain: Option<f64>) -> Result<(), Fault> {
    if let Some(share) = canary {
        self::canary("canary.", share)?;
    }
    drain_timeout(drain)
}

fn source(field: &str, source: &Source) -> Result<(), Fault> {
    match source {
        Source::Path(at) => path(&format!("{field}.path"), at),
        Source::Component(digest) => {
            let is_digest = digest.strip_prefix("sha256:").is_some_and(|digits| {
                digits.len() == 64
                    && digits
                        .bytes()
                        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            });
            if is_digest {
                Ok(())
            } else {
                let wanted =
                    "a stored component is named by `sha256:` and 64 hexadecimal digits, in lower case";
                Err(wrong(&format!("{field}.component"), wanted))
            }
        }
    }
}

fn path(field: &str, path: &str) -> Result<(), Fault> {
    if path.starts_with('/') && !path.contains('\0') {
        Ok(())
    } else {
        Err(wrong(
            field,
            "a file on the host's machine is named by its absolute path",
        ))
    }
}

fn weight(field: &str, text: &str) -> Result<(), Fault> {
    match Weight::parse(text) {
        Ok(_) => Ok(()),
        Err(error) => Err(wrong(field, error)),
    }
}

fn drain_timeout(seconds: Option<f64>) -> Result<(), Fault> {
    match seconds {
        Some(seconds) if !(0.0..=MAX_DRAIN_SECONDS).contains(&seconds) => {
            let wanted = format!("it is a number of seconds from 0 to {MAX_DRAIN_SECONDS}");
            Err(wrong("drain_timeout", wanted))
        }
        _ => Ok(()),
    }
}

fn wrong(field: &str, why: impl std::fmt::Display) -> Fault {
    Fault::invalid(format!("`{field}`: {why}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: serde_json::Value) -> Deploy {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_field() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        let good = serde_json::json!({
            "services": {"catalog": {"component": digest}, "orders": {"path": "/x/orders.wasm"}},
            "canary": {"weight": "10%", "sticky": "cookie:id"},
            "drain_timeout": 0,
        });
        deploy(&parsed(good.clone())).unwrap();
        let many: serde_json::Map<_, _> = (0..257)
            .map(|n| (format!("s{n}"), serde_json::json!({"path": "/x"})))
            .collect();
        for (at, value, place) in [
            ("/services", serde_json::json!({}), "`services`"),
            ("/services", many.into(), "`services`"),
            (
                "/services",
                serde_json::json!({"a_b": {"path": "/x"}}),
                "`services`",
            ),
            (
                "/services/catalog",
                serde_json::json!({"component": "0a"}),
                "`services.catalog.component`",
            ),
            (
                "/services/catalog",
                serde_json::json!({"component": digest.to_uppercase()}),
                "`services.catalog.component`",
            ),
            (
                "/services/orders",
                serde_json::json!({"path": "x.wasm"}),
                "`services.orders.path`",
            ),
            (
                "/services/orders",
                serde_json::json!({"path": "/x\0y"}),
                "`services.orders.path`",
            ),
            ("/canary/weight", "100%".into(), "`canary.weight`"),
            ("/canary/sticky", "query:x".into(), "`canary.sticky`"),
            ("/drain_timeout", (-1).into(), "`drain_timeout`"),
            ("/drain_timeout", 3600.5.into(), "`drain_timeout`"),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(at).unwrap() = value;
            let text = deploy(&parsed(bad)).unwrap_err().to_string();
            assert!(text.starts_with(place), "{at}: {text}");
        }
        assert!(drain_timeout(Some(f64::NAN)).is_err() && drain_timeout(Some(f64::INFINITY)).is_err());
    }

    #[test]
    fn one_service_has_one_component() {
        let service = ServiceName::parse("catalog").unwrap();
        let of = |component: Option<&str>, path: Option<&str>| DeployOne {
            component: component.map(str::to_owned),
            path: path.map(str::to_owned),
            ..DeployOne::default()
        };
        assert!(deploy_one(&service, of(None, None)).is_err());
        assert!(deploy_one(&service, of(Some("sha256:"), Some("/x"))).is_err());
        let meant = deploy_one(&service, of(None, Some("/x"))).unwrap();
        assert_eq!(
            meant.services,
            [("catalog".to_owned(), Source::Path("/x".into()))].into()
        );
    }

    #[test]
    fn revisions_are_named_by_what_is_shown_of_them() {
        for good in ["0", "0a1b2c3d4e5f"] {
            revision("revision", good).unwrap();
        }
        for bad in ["", "0A", "g", "0a1b2c3d4e5f6", "%"] {
            assert!(revision("revision", bad).is_err(), "{bad}");
        }
        assert!(
            rollback(&Rollback {
                revision: Some("v1".into()),
                ..Rollback::default()
            })
            .is_err()
        );
    }

    #[test]
    fn the_options_of_an_upload_are_in_its_query() {
        let of = |text: &str| deploy_options(&mut Query::parse(Some(text)).unwrap());
        let all = of("canary=10%25&sticky=header:x-user&allow_new_grants=true&drain_timeout=1.5").unwrap();
        assert_eq!(
            all,
            DeployOne {
                canary: Some(Canary {
                    weight: "10%".into(),
                    sticky: Some("header:x-user".into()),
                }),
                allow_new_grants: true,
                drain_timeout: Some(1.5),
                ..DeployOne::default()
            }
        );
        assert_eq!(of("").unwrap(), DeployOne::default());
        for bad in [
            "sticky=client",
            "canary=0%25",
            "canary=10%25&sticky=x",
            "allow_new_grants=yes",
            "drain_timeout=soon",
            "drain_timeout=NaN",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
