//! A contract: the functions of a WIT interface with their types, as values that hold nothing of Wasmtime.
//!
//! `reflect` reads them from a compiled component, within bounds, since whoever uploads a component chooses its types.
//! `compare` holds two against each other, `carrier` says whether a function's result can tell its caller that the call
//! failed, `show` writes types as WIT does. Wasmtime's own `==` on types is never used: it can panic on resources of two
//! components.

use std::collections::BTreeMap;

use crate::model::InterfaceName;

mod carrier;
mod compare;
mod reflect;
#[cfg(test)]
pub(super) mod sample;
mod show;

pub use carrier::{Carrier, FailureKind, Silence, Silent, Slot, carrier, warnings};
pub(super) use compare::function_mismatches;
pub use compare::{Difference, Mismatch, Names, Parting, Problem, Refused, Step, mismatches, unsupported};
pub use reflect::{
    Exports, Imports, MAX_COMPONENT_NAME_BYTES, MAX_COMPONENT_PARTS, MAX_DEPTH, MAX_FUNCTION_PARTS,
    ReflectError, exports, exports_of_bytes, imports,
};
pub(super) use show::list;

/// What an interface has in one component: everything that it exports, or as much of it as it imports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    /// Its name, in the version that the component was built against.
    pub interface: InterfaceName,
    /// Its functions by name.
    pub functions: BTreeMap<String, Function>,
    /// What it has beside functions and value types, by name. None of it can cross a link.
    pub items: BTreeMap<String, Item>,
}

/// Something in an interface that is neither a function nor a value type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// A resource, its own or one that it uses.
    Resource,
    /// A nested instance.
    Instance,
    /// A component.
    Component,
    /// A core module.
    Module,
    /// A core function.
    CoreFunction,
}

/// A function of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Whether it is an `async func`.
    pub is_async: bool,
    /// Its parameters, in order.
    pub params: Vec<(String, Type)>,
    /// What it returns.
    pub result: Option<Type>,
}

/// A type of the component model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in WIT")]
pub enum Type {
    Bool,
    S8,
    U8,
    S16,
    U16,
    S32,
    U32,
    S64,
    U64,
    F32,
    F64,
    Char,
    String,
    List(Box<Type>),
    /// `list<T, N>`.
    FixedList(Box<Type>, u32),
    Map(Box<Type>, Box<Type>),
    Tuple(Vec<Type>),
    /// The fields in order.
    Record(Vec<(String, Type)>),
    /// The cases in order, each with its payload.
    Variant(Vec<(String, Option<Type>)>),
    Enum(Vec<String>),
    Flags(Vec<String>),
    Option(Box<Type>),
    Result {
        ok: Option<Box<Type>>,
        err: Option<Box<Type>>,
    },
    /// What belongs to one Wasm store and cannot cross a link.
    Unsupported(Unsupported),
}

/// A type whose values belong to one Wasm store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsupported {
    /// A handle that owns a resource.
    Own(Resource),
    /// A handle that borrows one.
    Borrow(Resource),
    /// A stream of these.
    Stream(Option<Box<Type>>),
    /// A future of this.
    Future(Option<Box<Type>>),
    /// `error-context`.
    ErrorContext,
}

/// Which resource a handle is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// The one that this interface calls so.
    Named {
        /// The interface that declares it, as the component names it.
        interface: String,
        /// Its name there.
        name: String,
    },
    /// The component gives it no name within what was read.
    Unnamed,
}
