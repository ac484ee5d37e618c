//! From a compiled component to its contracts.
//!
//! A component's types share their parts, so that a short one can describe a type that fills the memory when it is written
//! out. What is read is therefore bounded in parts, depth and bytes of names, for a function and for the whole component;
//! a component beyond that is refused by the name of the function. Nothing here compares Wasmtime's types with `==`.

use std::collections::BTreeMap;

use wasmtime::Engine;
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{Component, ResourceType};

use super::show::short;
use super::{Contract, Function, Item, Resource, Type, Unsupported};
use crate::model::InterfaceName;

/// Types, fields, cases and flags of one function, written out.
pub const MAX_FUNCTION_PARTS: usize = 10_000;

/// The same of all contracts of a component together, each function counted as one more.
pub const MAX_COMPONENT_PARTS: usize = 200_000;

/// Bytes of all names in the contracts of a component.
pub const MAX_COMPONENT_NAME_BYTES: usize = 8 * 1024 * 1024;

/// How deep types may be nested.
pub const MAX_DEPTH: usize = 64;

/// Resources that can be named in messages; others are shown without their names.
const MAX_NAMED_RESOURCES: usize = 256;

/// What a component wants from others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imports {
    /// The interfaces, in the component's order.
    pub contracts: Vec<Contract>,
    /// Names of what is no interface: functions and instances of the world itself. No service can serve these.
    pub others: Vec<String>,
}

/// What a component offers to others.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exports {
    /// The interfaces, in the component's order.
    pub contracts: Vec<Contract>,
    /// Names of what is no interface.
    pub others: Vec<String>,
    /// There are functions, and none of them is an `async func`: whatever enters the component cannot wait for one.
    pub sync_only: bool,
}

/// A component's contracts are beyond what is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReflectError {
    /// One function is too large.
    #[error("{place} has types of more than {MAX_FUNCTION_PARTS} parts when they are written out")]
    Function {
        /// The function and its interface.
        place: String,
    },
    /// A type is nested too deeply.
    #[error("{place} has a type that is nested more than {MAX_DEPTH} levels deep")]
    Depth {
        /// The function and its interface.
        place: String,
    },
    /// The component as a whole is too large.
    #[error(
        "its interfaces have more than {MAX_COMPONENT_PARTS} parts, or {MAX_COMPONENT_NAME_BYTES} bytes of names, \
         when they are written out (at {place})"
    )]
    Component {
        /// Where the bound was met.
        place: String,
    },
}

impl ReflectError {
    /// What its reader can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Function { .. } | Self::Depth { .. } => {
                "make its types smaller, for example by passing a large part as `list<u8>`".into()
            }
            Self::Component { .. } => "divide it into services with fewer interfaces each".into(),
        })
    }
}

/// Reads what `component` imports, but for the names that are `provided` already.
///
/// # Errors
/// [`ReflectError`] names the function at which a bound was met.
pub fn imports(component: &Component, provided: &dyn Fn(&str) -> bool) -> Result<Imports, ReflectError> {
    let engine = component.engine();
    let ty = component.component_type();
    let mut walk = Walk::new(engine, &ty);
    let mut imports = Imports::default();
    for (name, import) in ty.imports(engine).filter(|(name, _)| !provided(name)) {
        match (InterfaceName::parse(name), import.ty) {
            (Ok(interface), ComponentItem::ComponentInstance(instance)) => {
                imports.contracts.push(walk.contract(name, interface, &instance)?);
            }
            // A type is no demand: whoever instantiates the component brings it along.
            (_, ComponentItem::Type(_)) => {}
            _ => {
                walk.start(name, "");
                walk.name(name)?;
                imports.others.push(name.to_owned());
            }
        }
    }
    Ok(imports)
}

/// Reads what `component` exports.
///
/// # Errors
/// [`ReflectError`] names the function at which a bound was met.
pub fn exports(component: &Component) -> Result<Exports, ReflectError> {
    let engine = component.engine();
    let ty = component.component_type();
    let mut walk = Walk::new(engine, &ty);
    let mut exports = Exports::default();
    let (mut functions, mut concurrent) = (0_usize, false);
    for (name, export) in ty.exports(engine) {
        match (InterfaceName::parse(name), export.ty) {
            (Ok(interface), ComponentItem::ComponentInstance(instance)) => {
                let contract = walk.contract(name, interface, &instance)?;
                functions += contract.functions.len();
                concurrent |= contract.functions.values().any(|function| function.is_async);
                exports.contracts.push(contract);
            }
            (_, ComponentItem::Type(_)) => {}
            (_, item) => {
                walk.start(name, "");
                walk.name(name)?;
                match item {
                    ComponentItem::ComponentFunc(function) => {
                        functions += 1;
                        concurrent |= function.async_();
                    }
                    ComponentItem::ComponentInstance(instance) => {
                        for (_, item) in instance.exports(engine) {
                            walk.part()?;
                            if let ComponentItem::ComponentFunc(function) = item.ty {
                                functions += 1;
                                concurrent |= function.async_();
                            }
                        }
                    }
                    _ => {}
                }
                exports.others.push(name.to_owned());
            }
        }
    }
    exports.sync_only = functions > 0 && !concurrent;
    Ok(exports)
}

/// Compiles `bytes` and reads its exports: the whole way that an uploaded component takes to here, for fuzzing and tools.
///
/// # Errors
/// Wasmtime's, if it does not compile; a [`ReflectError`] within it, if its contracts are beyond what is read.
pub fn exports_of_bytes(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Exports> {
    let component = Component::from_binary(engine, bytes)?;
    Ok(exports(&component)?)
}

/// One way through a component, with what is left of its bounds.
struct Walk<'e> {
    engine: &'e Engine,
    resources: Vec<(ResourceType, Resource)>,
    parts: usize,
    function_parts: usize,
    name_bytes: usize,
    interface: String,
    function: String,
}

impl<'e> Walk<'e> {
    fn new(engine: &'e Engine, ty: &types::Component) -> Self {
        Self {
            engine,
            resources: resources(engine, ty),
            parts: MAX_COMPONENT_PARTS,
            function_parts: MAX_FUNCTION_PARTS,
            name_bytes: MAX_COMPONENT_NAME_BYTES,
            interface: String::new(),
            function: String::new(),
        }
    }

    /// Notes where the walk is, and gives a function its own bound.
    fn start(&mut self, interface: &str, function: &str) {
        self.function_parts = MAX_FUNCTION_PARTS;
        interface.clone_into(&mut self.interface);
        function.clone_into(&mut self.function);
    }

    fn part(&mut self) -> Result<(), ReflectError> {
        self.parts = self.parts.checked_sub(1).ok_or_else(|| self.component())?;
        self.function_parts = self
            .function_parts
            .checked_sub(1)
            .ok_or_else(|| ReflectError::Function { place: self.place() })?;
        Ok(())
    }

    fn bytes(&mut self, bytes: usize) -> Result<(), ReflectError> {
        self.name_bytes = self
            .name_bytes
            .checked_sub(bytes)
            .ok_or_else(|| self.component())?;
        Ok(())
    }

    fn name(&mut self, name: &str) -> Result<String, ReflectError> {
        self.part()?;
        self.bytes(name.len())?;
        Ok(name.to_owned())
    }

    fn component(&self) -> ReflectError {
        ReflectError::Component { place: self.place() }
    }

    fn place(&self) -> String {
        let interface = short(&self.interface);
        match self.function.as_str() {
            "" => format!("`{interface}`"),
            function => format!("`{}` of `{interface}`", short(function)),
        }
    }

    fn contract(
        &mut self,
        name: &str,
        interface: InterfaceName,
        instance: &types::ComponentInstance,
    ) -> Result<Contract, ReflectError> {
        let mut functions = BTreeMap::new();
        let mut items = BTreeMap::new();
        let engine = self.engine;
        for (key, export) in instance.exports(engine) {
            self.start(name, key);
            let item = match export.ty {
                ComponentItem::ComponentFunc(function) => {
                    functions.insert(self.name(key)?, self.function(&function)?);
                    continue;
                }
                ComponentItem::Type(_) => {
                    // Seen where a function uses it.
                    self.part()?;
                    self.bytes(key.len())?;
                    continue;
                }
                ComponentItem::Resource(_) => Item::Resource,
                ComponentItem::ComponentInstance(_) => Item::Instance,
                ComponentItem::Component(_) => Item::Component,
                ComponentItem::Module(_) => Item::Module,
                ComponentItem::CoreFunc(_) => Item::CoreFunction,
            };
            items.insert(self.name(key)?, item);
        }
        Ok(Contract {
            interface,
            functions,
            items,
        })
    }

    fn function(&mut self, function: &types::ComponentFunc) -> Result<Function, ReflectError> {
        let mut params = Vec::new();
        for (name, ty) in function.params() {
            params.push((self.name(name)?, self.ty(&ty, 1)?));
        }
        let mut results = function.results();
        let result = match (results.next(), results.next()) {
            (Some(one), None) => Some(self.ty(&one, 1)?),
            (None, _) => None,
            // Not valid any more; if it comes back, it is a tuple.
            (Some(_), Some(_)) => Some(Type::Tuple(
                function
                    .results()
                    .map(|ty| self.ty(&ty, 2))
                    .collect::<Result<_, _>>()?,
            )),
        };
        Ok(Function {
            is_async: function.async_(),
            params,
            result,
        })
    }

    fn ty(&mut self, ty: &types::Type, depth: usize) -> Result<Type, ReflectError> {
        self.part()?;
        if depth > MAX_DEPTH {
            return Err(ReflectError::Depth { place: self.place() });
        }
        let below = depth + 1;
        Ok(match ty {
            types::Type::Bool => Type::Bool,
            types::Type::S8 => Type::S8,
            types::Type::U8 => Type::U8,
            types::Type::S16 => Type::S16,
            types::Type::U16 => Type::U16,
            types::Type::S32 => Type::S32,
            types::Type::U32 => Type::U32,
            types::Type::S64 => Type::S64,
            types::Type::U64 => Type::U64,
            types::Type::Float32 => Type::F32,
            types::Type::Float64 => Type::F64,
            types::Type::Char => Type::Char,
            types::Type::String => Type::String,
            types::Type::List(list) => Type::List(self.boxed(&list.ty(), below)?),
            types::Type::FixedLengthList(list) => Type::FixedList(self.boxed(&list.ty(), below)?, list.len()),
            types::Type::Map(map) => {
                Type::Map(self.boxed(&map.key(), below)?, self.boxed(&map.value(), below)?)
            }
            types::Type::Tuple(tuple) => Type::Tuple(
                tuple
                    .types()
                    .map(|ty| self.ty(&ty, below))
                    .collect::<Result<_, _>>()?,
            ),
            types::Type::Record(record) => Type::Record(
                record
                    .fields()
                    .map(|field| Ok((self.name(field.name)?, self.ty(&field.ty, below)?)))
                    .collect::<Result<_, _>>()?,
            ),
            types::Type::Variant(variant) => Type::Variant(
                variant
                    .cases()
                    .map(|case| {
                        let payload = case.ty.map(|ty| self.ty(&ty, below)).transpose()?;
                        Ok((self.name(case.name)?, payload))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            types::Type::Enum(names) => Type::Enum(self.names(names.names())?),
            types::Type::Flags(names) => Type::Flags(self.names(names.names())?),
            types::Type::Option(option) => Type::Option(self.boxed(&option.ty(), below)?),
            types::Type::Result(result) => Type::Result {
                ok: self.payload(result.ok(), below)?,
                err: self.payload(result.err(), below)?,
            },
            types::Type::Own(resource) => Type::Unsupported(Unsupported::Own(self.resource(*resource)?)),
            types::Type::Borrow(resource) => {
                Type::Unsupported(Unsupported::Borrow(self.resource(*resource)?))
            }
            types::Type::Stream(stream) => {
                Type::Unsupported(Unsupported::Stream(self.payload(stream.ty(), below)?))
            }
            types::Type::Future(future) => {
                Type::Unsupported(Unsupported::Future(self.payload(future.ty(), below)?))
            }
            types::Type::ErrorContext => Type::Unsupported(Unsupported::ErrorContext),
        })
    }

    fn boxed(&mut self, ty: &types::Type, depth: usize) -> Result<Box<Type>, ReflectError> {
        self.ty(ty, depth).map(Box::new)
    }

    fn payload(&mut self, ty: Option<types::Type>, depth: usize) -> Result<Option<Box<Type>>, ReflectError> {
        ty.map(|ty| self.boxed(&ty, depth)).transpose()
    }

    fn names<'n>(&mut self, names: impl Iterator<Item = &'n str>) -> Result<Vec<String>, ReflectError> {
        names.map(|name| self.name(name)).collect()
    }

    fn resource(&mut self, wanted: ResourceType) -> Result<Resource, ReflectError> {
        // Identities within one component, which compare without looking into its types.
        let known = self.resources.iter().find(|(known, _)| *known == wanted);
        let resource = known.map_or(Resource::Unnamed, |(_, resource)| resource.clone());
        if let Resource::Named { interface, name } = &resource {
            self.bytes(interface.len() + name.len())?;
        }
        Ok(resource)
    }
}

/// The resources that a component's interfaces declare. An interface comes before those that use its resources.
fn resources(engine: &Engine, ty: &types::Component) -> Vec<(ResourceType, Resource)> {
    let imports = ty.imports(engine).chain(ty.exports(engine));
    let mut resources: Vec<(ResourceType, Resource)> = Vec::new();
    for (interface, item) in imports {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        for (name, item) in instance.exports(engine) {
            if let ComponentItem::Resource(ty) = item.ty
                && !resources.iter().any(|(known, _)| *known == ty)
            {
                if resources.len() == MAX_NAMED_RESOURCES {
                    return resources;
                }
                let (interface, name) = (interface.to_owned(), name.to_owned());
                resources.push((ty, Resource::Named { interface, name }));
            }
        }
    }
    resources
}

#[cfg(test)]
mod tests;
