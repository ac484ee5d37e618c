//! The handles among the parameters of a function, which a denial has to give back.
//!
//! A handle within a list, or of a function with more than 16 flat parameters, is not found: an owned one stays with the denial
//! until the instance ends, a borrowed one makes the call trap.

use wasm_encoder::{BlockType, InstructionSink};
use wit_parser::abi::{FlatTypes, WasmType};
use wit_parser::{Handle, Resolve, Type, TypeDefKind, TypeId};

use super::kind;

/// A handle that a function is passed.
pub(super) struct Passed {
    pub(super) resource: TypeId,
    /// Whether the function has it for its own, or borrows it.
    pub(super) is_owned: bool,
    /// The parameter of the core function that has it.
    pub(super) local: u32,
    /// Which case each variant around it must be for there to be a handle: the parameter with the case, and its number.
    guards: Vec<(u32, i32)>,
}

/// The handles among parameters of the types `params`, which are passed one by one and not in memory.
pub(super) fn passed<'t>(resolve: &Resolve, params: impl IntoIterator<Item = &'t Type>) -> Vec<Passed> {
    let mut search = Search {
        resolve,
        guards: Vec::new(),
        found: Vec::new(),
    };
    search.fields(params, 0);
    search.found
}

struct Search<'a> {
    resolve: &'a Resolve,
    guards: Vec<(u32, i32)>,
    found: Vec<Passed>,
}

impl Search<'_> {
    /// Looks in a value of type `ty` whose first flat value is `local`.
    fn value(&mut self, ty: &Type, local: u32) {
        let resolve = self.resolve;
        if let Some((resource, is_owned)) = of(resolve, ty) {
            self.found.push(Passed {
                resource,
                is_owned,
                local,
                guards: self.guards.clone(),
            });
            return;
        }
        let Type::Id(id) = ty else { return };
        match kind(resolve, *id) {
            TypeDefKind::Type(ty) => self.value(ty, local),
            TypeDefKind::Record(record) => self.fields(record.fields.iter().map(|field| &field.ty), local),
            TypeDefKind::Tuple(tuple) => self.fields(&tuple.types, local),
            TypeDefKind::Option(ty) => self.cases([None, Some(ty)], local),
            TypeDefKind::Result(result) => self.cases([result.ok.as_ref(), result.err.as_ref()], local),
            TypeDefKind::Variant(variant) => {
                self.cases(variant.cases.iter().map(|case| case.ty.as_ref()), local);
            }
            _ => {}
        }
    }

    fn fields<'t>(&mut self, types: impl IntoIterator<Item = &'t Type>, mut local: u32) {
        for ty in types {
            self.value(ty, local);
            local += width(self.resolve, ty);
        }
    }

    fn cases<'t>(&mut self, payloads: impl IntoIterator<Item = Option<&'t Type>>, local: u32) {
        for (case, payload) in (0..).zip(payloads) {
            if let Some(payload) = payload {
                self.guards.push((local, case));
                self.value(payload, local + 1);
                self.guards.pop();
            }
        }
    }
}

/// How many flat values a parameter of type `ty` is: at most 16, or it would be passed in memory.
fn width(resolve: &Resolve, ty: &Type) -> u32 {
    let mut storage = [WasmType::I32; Resolve::MAX_FLAT_PARAMS];
    let mut flat = FlatTypes::new(&mut storage);
    resolve.push_flat(ty, &mut flat);
    u32::try_from(flat.to_vec().len()).unwrap_or(u32::MAX)
}

impl Passed {
    /// Calls `function` with the handle, if there is one. In a parameter that variants share it may be wider than it is.
    pub(super) fn give_to(&self, function: u32, is_wide: bool, code: &mut InstructionSink<'_>) {
        for (local, case) in &self.guards {
            code.local_get(*local)
                .i32_const(*case)
                .i32_eq()
                .if_(BlockType::Empty);
        }
        code.local_get(self.local);
        if is_wide {
            code.i32_wrap_i64();
        }
        code.call(function);
        for _ in &self.guards {
            code.end();
        }
    }
}

/// The resource that a handle is of, and whether the handle owns it.
pub(super) fn of(resolve: &Resolve, ty: &Type) -> Option<(TypeId, bool)> {
    let (mut id, mut owned) = match ty {
        Type::Id(id) => (*id, true),
        _ => return None,
    };
    let mut found = false;
    loop {
        match kind(resolve, id) {
            TypeDefKind::Type(Type::Id(other)) => id = *other,
            TypeDefKind::Handle(Handle::Own(resource)) if !found => (id, found) = (*resource, true),
            TypeDefKind::Handle(Handle::Borrow(resource)) if !found => {
                (id, owned, found) = (*resource, false, true);
            }
            TypeDefKind::Resource if found => return Some((id, owned)),
            _ => return None,
        }
    }
}
