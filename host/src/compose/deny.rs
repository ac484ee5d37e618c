//! Denial: a component that stands where the host's interface would be, for what a dependency does not inherit.
//!
//! It is generated for exactly the interfaces that the dependency imports, in their version and with the functions it uses, and
//! exports nothing else. What each function answers is settled when it is generated (`deny/value.rs`); the component has no
//! state and calls nothing, except to give back the handles that it was passed (`deny/module.rs`).
//!
//! Invariant: it imports interfaces for their types only, and never one that is being denied: if the types of a denied
//! interface could only come from the host, there is no denial and no composition. *Bounds*: the constants of a denial.

mod handle;
mod module;
mod value;

use std::collections::BTreeSet;

use wit_component::{ComponentEncoder, DecodedWasm, StringEncoding};
use wit_parser::{
    InterfaceId, Resolve, Stability, TypeDefKind, TypeId, TypeOwner, WorldId, WorldItem, WorldKey,
};

use super::capability::Needs;
use crate::model::InterfaceName;

/// An interface that is denied.
pub(super) struct Target {
    pub(super) interface: InterfaceName,
    pub(super) needs: Needs,
}

/// Why there is no denial.
#[derive(Debug, thiserror::Error)]
pub enum DenyError {
    /// The dependency's imports are not written down in a way that could be generated from.
    #[error("its imports cannot be read: {0}")]
    Decode(String),
    /// An interface is not among the imports that were read.
    #[error("its import `{0}` cannot be read")]
    Missing(String),
    /// An interface that is left to the host has types of one that is denied.
    #[error("it imports `{host}`, which has types of the denied `{denied}`")]
    Entangled {
        /// The interface that the host would provide.
        host: String,
        /// The one that is denied.
        denied: String,
    },
    /// The component could not be put together.
    #[error("the denial cannot be put together: {0}")]
    Encode(String),
}

/// A component that exports the interfaces `targets`, as `dependency` imports them, and denies each call.
pub(super) fn generate(dependency: &[u8], targets: &[Target]) -> Result<Vec<u8>, DenyError> {
    let decoded =
        wit_component::decode(dependency).map_err(|error| DenyError::Decode(format!("{error:#}")))?;
    let DecodedWasm::Component(mut resolve, world) = decoded else {
        return Err(DenyError::Decode("it is a package of interfaces".into()));
    };
    let denied = select(&resolve, world, targets)?;
    turn(&mut resolve, world, &denied)?;
    let mut module = module::build(&resolve, &denied)?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .map_err(|error| DenyError::Encode(format!("{error:#}")))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| DenyError::Encode(format!("{error:#}")))
}

/// A denied interface, in the terms of `wit-parser`.
struct DeniedInterface<'a> {
    id: InterfaceId,
    target: &'a Target,
}

fn select<'a>(
    resolve: &Resolve,
    world: WorldId,
    targets: &'a [Target],
) -> Result<Vec<DeniedInterface<'a>>, DenyError> {
    targets
        .iter()
        .map(|target| {
            let name = target.interface.to_string();
            let imports = resolve
                .worlds
                .get(world)
                .into_iter()
                .flat_map(|world| &world.imports);
            let id = imports.into_iter().find_map(|(key, item)| match item {
                WorldItem::Interface { id, .. } if resolve.name_world_key(key) == name => Some(*id),
                _ => None,
            });
            id.map(|id| DeniedInterface { id, target })
                .ok_or(DenyError::Missing(name))
        })
        .collect()
}

/// Makes of the dependency's world the one of the denial: it exports what is denied, and imports what that has types of.
fn turn(resolve: &mut Resolve, world: WorldId, denied: &[DeniedInterface<'_>]) -> Result<(), DenyError> {
    let exported: BTreeSet<InterfaceId> = denied.iter().map(|denied| denied.id).collect();
    let mut imported = Vec::new();
    for id in &exported {
        for used in resolve.interface_direct_deps(*id) {
            import(resolve, used, &exported, &mut imported, None)?;
        }
    }
    let item = |id| WorldItem::Interface {
        id,
        stability: Stability::Unknown,
        external_id: None,
        docs: Default::default(),
        span: Default::default(),
    };
    let named = |id| (WorldKey::Interface(id), item(id));
    if let Some(world) = resolve.worlds.get_mut(world) {
        world.imports = imported.into_iter().map(named).collect();
        world.exports = denied.iter().map(|denied| named(denied.id)).collect();
    }
    Ok(())
}

/// Adds `id` to what is imported, after all that it has types of.
fn import(
    resolve: &Resolve,
    id: InterfaceId,
    exported: &BTreeSet<InterfaceId>,
    imported: &mut Vec<InterfaceId>,
    user: Option<InterfaceId>,
) -> Result<(), DenyError> {
    if exported.contains(&id) {
        // A denied interface takes the types of another from its denial. An interface of the host cannot.
        return user.map_or(Ok(()), |user| {
            Err(DenyError::Entangled {
                host: name(resolve, user),
                denied: name(resolve, id),
            })
        });
    }
    if imported.contains(&id) {
        return Ok(());
    }
    for used in resolve.interface_direct_deps(id) {
        import(resolve, used, exported, imported, Some(id))?;
    }
    imported.push(id);
    Ok(())
}

fn name(resolve: &Resolve, id: InterfaceId) -> String {
    resolve.id_of(id).unwrap_or_default()
}

/// What a type is.
fn kind(resolve: &Resolve, id: TypeId) -> &TypeDefKind {
    resolve.types.get(id).map_or(&TypeDefKind::Unknown, |ty| &ty.kind)
}

/// The interface that a type belongs to.
fn owner(resolve: &Resolve, id: TypeId) -> Option<InterfaceId> {
    match resolve.types.get(id)?.owner {
        TypeOwner::Interface(owner) => Some(owner),
        TypeOwner::World(_) | TypeOwner::None => None,
    }
}
