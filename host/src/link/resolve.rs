//! Which service serves which import of an app. Pure: contracts in, links and faults out.
//!
//! An import goes to the service that an explicit link names, otherwise to the single other service that exports the
//! interface in a version that serves ([`InterfaceName::serves`]); of several such versions in one service the newest is
//! taken. A service never serves itself, and services may serve each other. A link is only made when every imported
//! function fits, nothing in the contract belongs to one Wasm store, and the caller can wait for what it calls: a service
//! whose exports are all synchronous can only trap when it calls an `async func`.

use std::collections::{BTreeMap, BTreeSet};

use super::contract::{Contract, Function, function_mismatches, unsupported, warnings};
use crate::model::{InterfaceName, ServiceName};

mod error;

pub use error::{LinkError, LinkWarning};

/// What a service imports and exports, and what the manifest says of its links.
#[derive(Debug, Clone)]
pub struct ServiceContracts {
    /// The service.
    pub name: ServiceName,
    /// The interfaces that neither the host nor a composed dependency provides.
    pub imports: Vec<Contract>,
    /// Names of imports that are no interfaces; each of them is an error.
    pub other_imports: Vec<String>,
    /// The interfaces that it exports.
    pub exports: Vec<Contract>,
    /// The links that the manifest declares for it.
    pub links: BTreeMap<InterfaceName, ExplicitLink>,
    /// It exports functions, and none of them is an `async func`.
    pub sync_only: bool,
}

/// A link that the manifest declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplicitLink {
    /// The service that is to serve.
    pub service: ServiceName,
    /// Where the manifest says so, for messages: `spin.toml:12:1`.
    pub location: String,
}

/// An import, and the service that serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedLink {
    /// The service that imports.
    pub caller: ServiceName,
    /// The interface as it imports it.
    pub import: InterfaceName,
    /// The service that serves.
    pub callee: ServiceName,
    /// The interface as that exports it.
    pub export: InterfaceName,
    /// Whether the manifest declares the link.
    pub explicit: bool,
    /// The functions that the caller imports.
    pub functions: BTreeMap<String, Function>,
}

/// What [`resolve`] found.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    /// The links, by the order of services and of their imports.
    pub links: Vec<ResolvedLink>,
    /// Why the app cannot be served. If there are any, `links` has what fits all the same.
    pub errors: Vec<LinkError>,
    /// What is worth a look.
    pub warnings: Vec<LinkWarning>,
}

/// Finds the callee of every import of every service, and checks that the two fit.
#[must_use]
pub fn resolve(services: &[ServiceContracts]) -> Resolution {
    let mut resolution = Resolution::default();
    for caller in services {
        let names = caller.other_imports.iter();
        resolution
            .errors
            .extend(names.map(|import| LinkError::NotAnInterface {
                caller: caller.name.clone(),
                import: import.clone(),
            }));
        let mut used = BTreeSet::new();
        for wanted in &caller.imports {
            let explicit = explicit(caller, &wanted.interface);
            used.extend(explicit.map(|(key, _)| key));
            if wanted.functions.is_empty() && wanted.items.is_empty() {
                // Types that another interface uses: there is nothing to call, and they are compared where they are used.
                continue;
            }
            match link(services, caller, wanted, explicit.map(|(_, link)| link)) {
                Ok(link) => {
                    let functions = warnings(wanted);
                    if !functions.is_empty() {
                        resolution.warnings.push(LinkWarning::Silent {
                            caller: link.caller.clone(),
                            import: link.import.clone(),
                            callee: link.callee.clone(),
                            functions,
                        });
                    }
                    resolution.links.push(link);
                }
                Err(error) => resolution.errors.push(*error),
            }
        }
        let unused = caller.links.iter().filter(|(key, _)| !used.contains(key));
        resolution
            .warnings
            .extend(unused.map(|(key, link)| LinkWarning::Unused {
                caller: caller.name.clone(),
                key: key.clone(),
                callee: link.service.clone(),
                location: link.location.clone(),
                near: near(key, caller.imports.iter().map(|import| &import.interface)),
            }));
    }
    resolution
}

/// Which of `links` would break if `service` exported `new_exports` instead of what it exports now: the gate of a rollout.
/// Links to other services are not looked at.
#[must_use]
pub fn check_callers(
    service: &ServiceName,
    new_exports: &[Contract],
    links: &[ResolvedLink],
) -> Vec<LinkError> {
    let callers = links.iter().filter(|link| link.callee == *service);
    callers
        .filter_map(|link| {
            let Some(offered) = newest(new_exports, &link.import) else {
                return Some(LinkError::Withdrawn {
                    caller: link.caller.clone(),
                    import: link.import.clone(),
                    callee: service.clone(),
                    versions: versions(new_exports, &link.import),
                });
            };
            let mismatches = function_mismatches(&link.import, &link.functions, offered);
            (!mismatches.is_empty()).then(|| LinkError::Mismatch {
                caller: link.caller.clone(),
                import: link.import.clone(),
                callee: service.clone(),
                export: offered.interface.clone(),
                mismatches,
            })
        })
        .collect()
}

/// A service, and the contract of it that serves.
type Linked<'s> = (&'s ServiceContracts, &'s Contract);

fn link(
    services: &[ServiceContracts],
    caller: &ServiceContracts,
    wanted: &Contract,
    explicit: Option<&ExplicitLink>,
) -> Result<ResolvedLink, Box<LinkError>> {
    let (callee, offered) = match explicit {
        Some(link) => named(services, caller, wanted, link)?,
        None => single(services, caller, wanted)?,
    };
    check(caller, wanted, callee, offered)?;
    Ok(ResolvedLink {
        caller: caller.name.clone(),
        import: wanted.interface.clone(),
        callee: callee.name.clone(),
        export: offered.interface.clone(),
        explicit: explicit.is_some(),
        functions: wanted.functions.clone(),
    })
}

/// The explicit link that is meant for `import`: one of its very version, otherwise the newest of its track.
fn explicit<'s>(
    caller: &'s ServiceContracts,
    import: &InterfaceName,
) -> Option<(&'s InterfaceName, &'s ExplicitLink)> {
    if let Some(exact) = caller.links.get_key_value(import) {
        return Some(exact);
    }
    caller
        .links
        .iter()
        .filter(|(key, _)| key.serves(import) || import.serves(key))
        .max_by(|(a, _), (b, _)| a.version().cmp(&b.version()))
}

/// The service that an explicit link names, with what it exports.
fn named<'s>(
    services: &'s [ServiceContracts],
    caller: &ServiceContracts,
    wanted: &Contract,
    link: &ExplicitLink,
) -> Result<Linked<'s>, Box<LinkError>> {
    let import = &wanted.interface;
    if link.service == caller.name {
        return Err(Box::new(LinkError::Itself {
            caller: caller.name.clone(),
            import: import.clone(),
            location: link.location.clone(),
        }));
    }
    let Some(callee) = services.iter().find(|service| service.name == link.service) else {
        return Err(Box::new(LinkError::UnknownService {
            caller: caller.name.clone(),
            import: import.clone(),
            service: link.service.clone(),
            location: link.location.clone(),
            services: others(services, caller).map(|other| other.name.clone()).collect(),
        }));
    };
    let Some(offered) = newest(&callee.exports, import) else {
        return Err(Box::new(LinkError::NotExported {
            caller: caller.name.clone(),
            import: import.clone(),
            callee: callee.name.clone(),
            location: link.location.clone(),
            versions: versions(&callee.exports, import),
            near: near(import, callee.exports.iter().map(|export| &export.interface)),
        }));
    };
    Ok((callee, offered))
}

/// The only other service that exports what is wanted.
fn single<'s>(
    services: &'s [ServiceContracts],
    caller: &ServiceContracts,
    wanted: &Contract,
) -> Result<Linked<'s>, Box<LinkError>> {
    let import = &wanted.interface;
    let candidates: Vec<Linked<'s>> = others(services, caller)
        .filter_map(|service| Some((service, newest(&service.exports, import)?)))
        .collect();
    match candidates.as_slice() {
        [one] => Ok(*one),
        [] => {
            let exported = || {
                others(services, caller).flat_map(|service| {
                    service
                        .exports
                        .iter()
                        .map(move |export| (service, &export.interface))
                })
            };
            let pairs = |wanted: &dyn Fn(&InterfaceName) -> bool| {
                exported()
                    .filter(|(_, export)| wanted(export))
                    .map(|(service, export)| (service.name.clone(), export.clone()))
                    .collect()
            };
            Err(Box::new(LinkError::NoExporter {
                caller: caller.name.clone(),
                import: import.clone(),
                versions: pairs(&|export| export.is_same_interface(import)),
                namesakes: pairs(&|export| {
                    export.interface() == import.interface() && export.package() != import.package()
                }),
                itself: newest(&caller.exports, import).is_some(),
            }))
        }
        _ => Err(Box::new(LinkError::Ambiguous {
            caller: caller.name.clone(),
            import: import.clone(),
            candidates: candidates
                .iter()
                .map(|(service, _)| service.name.clone())
                .collect(),
        })),
    }
}

/// Whether a link between the two can work.
fn check(
    caller: &ServiceContracts,
    wanted: &Contract,
    callee: &ServiceContracts,
    offered: &Contract,
) -> Result<(), Box<LinkError>> {
    let refused = unsupported(wanted);
    if !refused.is_empty() {
        return Err(Box::new(LinkError::Unsupported {
            caller: caller.name.clone(),
            import: wanted.interface.clone(),
            callee: callee.name.clone(),
            refused,
        }));
    }
    let mismatches = function_mismatches(&wanted.interface, &wanted.functions, offered);
    if !mismatches.is_empty() {
        return Err(Box::new(LinkError::Mismatch {
            caller: caller.name.clone(),
            import: wanted.interface.clone(),
            callee: callee.name.clone(),
            export: offered.interface.clone(),
            mismatches,
        }));
    }
    let functions = wanted.functions.iter();
    let functions: Vec<String> = functions
        .filter(|(_, function)| caller.sync_only && function.is_async)
        .map(|(name, _)| name.clone())
        .collect();
    if functions.is_empty() {
        return Ok(());
    }
    Err(Box::new(LinkError::CannotWait {
        caller: caller.name.clone(),
        import: wanted.interface.clone(),
        callee: callee.name.clone(),
        functions,
    }))
}

fn others<'s>(
    services: &'s [ServiceContracts],
    caller: &ServiceContracts,
) -> impl Iterator<Item = &'s ServiceContracts> {
    services.iter().filter(move |service| service.name != caller.name)
}

/// The newest of `exports` that serves `import`.
fn newest<'c>(exports: &'c [Contract], import: &InterfaceName) -> Option<&'c Contract> {
    exports
        .iter()
        .filter(|export| export.interface.serves(import))
        .max_by(|a, b| a.interface.version().cmp(&b.interface.version()))
}

/// The versions of `import` in `exports`, whether they serve or not.
fn versions(exports: &[Contract], import: &InterfaceName) -> Vec<InterfaceName> {
    let names = exports.iter().map(|export| &export.interface);
    names
        .filter(|name| name.is_same_interface(import))
        .cloned()
        .collect()
}

/// The name that was most likely meant by `wanted`: another version of it, its namesake of another package, or the
/// interface of its package that begins most alike.
fn near<'n>(wanted: &InterfaceName, names: impl Iterator<Item = &'n InterfaceName>) -> Option<InterfaceName> {
    let likeness = |name: &InterfaceName| {
        let alike = name.interface().bytes().zip(wanted.interface().bytes());
        let alike = alike.take_while(|(a, b)| a == b).count();
        if name.is_same_interface(wanted) {
            Some((2, alike))
        } else if name.interface() == wanted.interface() {
            Some((1, alike))
        } else {
            (name.package() == wanted.package()).then_some((0, alike))
        }
    };
    names
        .filter_map(|name| Some((likeness(name)?, name)))
        .max_by_key(|(likeness, _)| *likeness)
        .map(|(_, name)| name.clone())
}

#[cfg(test)]
mod tests;
