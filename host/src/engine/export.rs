//! The functions that a component exports for others, and how a caller finds the one that it wants.
//!
//! A caller names an interface and a function. Each revision of the callee may have it elsewhere, or in a newer version of the
//! interface, so what was found is remembered for the revision that it was found in.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex};

use crate::model::InterfaceName;

/// How many functions of a component are looked at; a position fits into 16 bits.
const MAX_FUNCTIONS: usize = 1 << 16;

/// A function of an exported interface.
pub(super) struct Export {
    interface: InterfaceName,
    function: Box<str>,
    pub(super) index: ComponentExportIndex,
}

/// The functions of all exported interfaces.
pub(super) struct Exports(Vec<Export>);

impl Exports {
    /// What `component` exports. An HTTP handler is an interface like any other; nobody imports it from a service.
    pub(super) fn of(component: &Component) -> Self {
        let engine = component.engine();
        let mut exports = Vec::new();
        for (name, item) in component.component_type().exports(engine) {
            let (Ok(interface), ComponentItem::ComponentInstance(instance)) =
                (InterfaceName::parse(name), item.ty)
            else {
                continue;
            };
            let Some(parent) = component.get_export_index(None, name) else {
                continue;
            };
            for (function, item) in instance.exports(engine) {
                if let ComponentItem::ComponentFunc(_) = item.ty
                    && let Some(index) = component.get_export_index(Some(&parent), function)
                {
                    exports.push(Export {
                        interface: interface.clone(),
                        function: function.into(),
                        index,
                    });
                }
            }
        }
        exports.truncate(MAX_FUNCTIONS);
        Self(exports)
    }

    pub(super) fn get(&self, position: usize) -> Option<&Export> {
        self.0.get(position)
    }

    /// Whether there are functions that other services may import.
    pub(super) fn has_contracts(&self) -> bool {
        self.0
            .iter()
            .any(|export| !export.interface.package().starts_with("wasi:"))
    }

    /// Of several versions that serve, the newest.
    fn position(&self, interface: &InterfaceName, function: &str) -> Option<usize> {
        self.0
            .iter()
            .enumerate()
            .filter(|(_, export)| &*export.function == function && export.interface.serves(interface))
            .max_by(|(_, one), (_, other)| one.interface.version().cmp(&other.interface.version()))
            .map(|(position, _)| position)
    }
}

/// The function that a caller wants.
pub(super) struct Wanted {
    pub(super) interface: InterfaceName,
    pub(super) function: Box<str>,
    /// The number of the program that it was last found in, above 16 bits of the position there.
    last: AtomicU64,
}

impl Wanted {
    pub(super) fn new(interface: InterfaceName, function: &str) -> Self {
        Self {
            interface,
            function: function.into(),
            last: AtomicU64::new(0),
        }
    }

    /// Its position among the exports of the program of that number.
    pub(super) fn find(&self, program: u64, exports: &Exports) -> Option<usize> {
        let last = self.last.load(Ordering::Relaxed);
        if last >> 16 == program {
            return usize::try_from(last & 0xffff).ok();
        }
        let position = exports.position(&self.interface, &self.function)?;
        self.last
            .store(program << 16 | u64::try_from(position).ok()?, Ordering::Relaxed);
        Some(position)
    }
}

/// The exported functions that an instance was asked for, ready to be called, by position.
#[derive(Default)]
pub(super) struct Functions(Vec<(usize, Box<dyn Any + Send>)>);

impl Functions {
    /// The function at `position`, if it was [kept](Self::keep) as a `F`.
    pub(super) fn get<F: Copy + 'static>(&self, position: usize) -> Option<F> {
        self.0
            .iter()
            .filter(|(kept, _)| *kept == position)
            .find_map(|(_, function)| function.downcast_ref().copied())
    }

    /// Keeps a function for the next time. One position may be called in two ways, typed and not.
    pub(super) fn keep<F: Copy + Send + 'static>(&mut self, position: usize, function: F) {
        self.0.push((position, Box::new(function)));
    }
}
