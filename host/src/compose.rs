//! Static composition: components made into one, for the dependencies that a manifest declares and for platforms without
//! live links.
//!
//! [`compose`] puts dependencies into a component as Spin does, [`fuse`] puts services together along their links. Both take
//! bytes and give bytes. Hides `wac-graph`, which merges the imports that the parts have in common.
//!
//! Invariants: what a dependency does not inherit it cannot reach, because a generated component stands where the host's
//! interface would be (`compose/deny.rs`); an interface that is not known to be harmless is one of these. The result has the
//! exports of the main component and no others, and is valid. No input makes the host panic. *Bound*: none of its own; the
//! caller bounds the bytes that it gives.

mod capability;
mod deny;
mod error;
mod fuse;
mod graph;
mod part;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::capability::{Needs, of as needs};
pub use self::deny::DenyError;
pub use self::error::ComposeError;
pub use self::fuse::{FusedLink, fuse};
use self::graph::{Extern, Graph, Instance, Shape};
pub use self::part::Part;
use crate::model::{DependencyName, Inherit, InterfaceName};

/// A component with its dependencies in it.
#[derive(Debug)]
pub struct Composition<'a> {
    /// The component. The very bytes that were given if nothing had to be composed, so that their digest is the same.
    pub bytes: Cow<'a, [u8]>,
    /// Which imports of the main component are satisfied, and by what.
    pub satisfied: Vec<Satisfied>,
    /// What parts import and do not get, because they do not inherit it.
    pub denied: Vec<Denied>,
    /// Parts that were not composed, since something else serves all that they would.
    pub unused: Vec<DependencyName>,
}

/// An import that a part serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Satisfied {
    /// The import, as the main component names it.
    pub import: String,
    /// The part.
    pub part: DependencyName,
}

/// An import of a part that answers as if nothing were granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// The part.
    pub part: DependencyName,
    /// The import, as the part names it.
    pub import: String,
}

/// Puts `parts` into `main`, each for the imports that its name covers, except for those that `kept` names: a live link has
/// them.
///
/// The semantics are those of a Spin manifest's dependencies. A part may import what hosts provide; that becomes an import of
/// the whole if the part inherits it, and is denied otherwise. Contracts that a part imports are not resolved. Parts of equal
/// bytes and inheritance share one instance.
///
/// # Errors
/// [`ComposeError`], which names the part and the import.
pub fn compose<'a>(
    main: &'a [u8],
    parts: &[Part],
    kept: &dyn Fn(&str) -> bool,
) -> Result<Composition<'a>, ComposeError> {
    if parts.is_empty() {
        return Ok(Composition::unchanged(main));
    }
    guarded(|| compose_parts(main, parts, kept))
}

/// Which dependencies of these names have something to serve in `main`, and so must be at hand: all but those whose imports
/// `kept` names. One that is for no import at all is an error that [`compose`] tells, and counts as wanted.
///
/// # Errors
/// [`ComposeError::NoComponent`]
pub fn wanted(
    main: &[u8],
    names: &[DependencyName],
    kept: &dyn Fn(&str) -> bool,
) -> Result<Vec<bool>, ComposeError> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    guarded(|| {
        let mut graph = Graph::new();
        let main = graph.add("the component", main)?;
        let imports = graph.imports(&main);
        let is_wanted = |name| open(name, &imports, kept).is_none_or(|open| !open.is_empty());
        Ok(names.iter().map(is_wanted).collect())
    })
}

impl<'a> Composition<'a> {
    fn unchanged(main: &'a [u8]) -> Self {
        Self {
            bytes: Cow::Borrowed(main),
            satisfied: Vec::new(),
            denied: Vec::new(),
            unused: Vec::new(),
        }
    }
}

/// The libraries below assert what they believe of their input. A component that proves one of them wrong is an error here.
fn guarded<T>(work: impl FnOnce() -> Result<T, ComposeError>) -> Result<T, ComposeError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no reason is given");
        Err(ComposeError::Unsupported {
            reason: reason.to_owned(),
        })
    })
}

/// A part that is used, and what for.
struct Use<'p> {
    part: &'p Part,
    imports: Vec<String>,
}

fn compose_parts<'a>(
    main: &'a [u8],
    parts: &[Part],
    kept: &dyn Fn(&str) -> bool,
) -> Result<Composition<'a>, ComposeError> {
    let mut graph = Graph::new();
    let main_instance = graph.add("the component", main)?;
    let (uses, unused) = assign(&graph.imports(&main_instance), parts, kept)?;
    if uses.is_empty() {
        return Ok(Composition {
            unused,
            ..Composition::unchanged(main)
        });
    }
    let mut composition = Composition {
        unused,
        ..Composition::unchanged(main)
    };
    let mut ready: Vec<(&Part, Instance)> = Vec::new();
    for Use { part, imports } in uses {
        let shared = ready
            .iter()
            .find(|(other, _)| other.bytes == part.bytes && other.inherit == part.inherit);
        let instance = match shared {
            Some((_, instance)) => instance.clone(),
            None => {
                let (instance, denied) = add_part(&mut graph, part)?;
                composition.denied.extend(denied);
                instance
            }
        };
        for import in imports {
            let export = graph.find_export(&instance, part.export.as_deref(), &import)?;
            graph.connect(&instance, &export, &main_instance, &import)?;
            composition.satisfied.push(Satisfied {
                import,
                part: part.name.clone(),
            });
        }
        ready.push((part, instance));
    }
    graph.export_all(&main_instance)?;
    composition.bytes = Cow::Owned(graph.finish()?);
    Ok(composition)
}

/// What a dependency of that name has to serve: the imports that it is for, but for those that something else has. `None` if it
/// is for no import at all.
fn open(name: &DependencyName, imports: &[Extern], kept: &dyn Fn(&str) -> bool) -> Option<Vec<String>> {
    let mut covered = imports
        .iter()
        .filter(|import| part::covers(name, &import.name))
        .peekable();
    covered.peek()?;
    // An interface of types alone is the same wherever it comes from, and stays as it is.
    let open = covered.filter(|import| import.shape != Shape::Types && !kept(&import.name));
    Some(open.map(|import| import.name.clone()).collect())
}

/// Which part serves which of the imports, and the parts that serve none.
fn assign<'p>(
    imports: &[Extern],
    parts: &'p [Part],
    kept: &dyn Fn(&str) -> bool,
) -> Result<(Vec<Use<'p>>, Vec<DependencyName>), ComposeError> {
    let (mut uses, mut unused): (Vec<Use<'p>>, Vec<DependencyName>) = (Vec::new(), Vec::new());
    for part in parts {
        let Some(open) = open(&part.name, imports, kept) else {
            return Err(ComposeError::NoImport {
                part: part.name.to_string(),
                imports: imports.iter().map(|import| import.name.clone()).collect(),
            });
        };
        for import in &open {
            if let Some(other) = uses.iter().find(|other| other.imports.contains(import)) {
                return Err(ComposeError::Conflict {
                    import: import.clone(),
                    first: other.part.name.to_string(),
                    second: part.name.to_string(),
                });
            }
        }
        if open.is_empty() {
            unused.push(part.name.clone());
        } else {
            uses.push(Use { part, imports: open });
        }
    }
    Ok((uses, unused))
}

/// An instance of `part`, with denials for what it does not inherit.
fn add_part(graph: &mut Graph, part: &Part) -> Result<(Instance, Vec<Denied>), ComposeError> {
    let instance = graph.add(&format!("the dependency `{}`", part.name), &part.bytes)?;
    let mut denied: Vec<deny::Target> = Vec::new();
    for import in graph.imports(&instance) {
        if import.shape == Shape::Types {
            continue;
        }
        let unresolved = || ComposeError::Unresolved {
            part: part.name.to_string(),
            import: import.name.clone(),
        };
        let interface = InterfaceName::parse(&import.name).map_err(|_| unresolved())?;
        let needs = capability::of(&interface).ok_or_else(unresolved)?;
        if import.shape != Shape::Interface {
            return Err(unresolved());
        }
        if !inherits(&part.inherit, needs) {
            denied.push(deny::Target { interface, needs });
        }
    }
    if !denied.is_empty() {
        let bytes = deny::generate(&part.bytes, &denied).map_err(|source| ComposeError::Deny {
            part: part.name.to_string(),
            source,
        })?;
        let denial = graph.add("a denial", &bytes)?;
        for target in &denied {
            let name = target.interface.to_string();
            graph.connect(&denial, &name, &instance, &name)?;
        }
    }
    let denied = denied
        .iter()
        .map(|target| Denied {
            part: part.name.clone(),
            import: target.interface.to_string(),
        })
        .collect();
    Ok((instance, denied))
}

fn inherits(inherit: &Inherit, needs: Needs) -> bool {
    match (needs, inherit) {
        (Needs::Nothing, _) | (_, Inherit::All) => true,
        (Needs::Grant(grant), Inherit::Some(inherited)) => inherited.contains(&grant),
        (Needs::Everything, Inherit::Some(_)) | (_, Inherit::Nothing) => false,
    }
}

#[cfg(test)]
mod tests;
