//! The core module of a denial.
//!
//! Each function gives back the handles that it was passed (`deny/handle.rs`) and returns its constant answer, or the address of
//! it. Nothing reads the other arguments, so that all of them are put at the same place in memory.

use std::collections::{BTreeSet, HashMap};

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, EntityType, ExportKind, ExportSection, Function,
    FunctionSection, Ieee32, Ieee64, ImportSection, InstructionSink, MemorySection, MemoryType, Module,
    TypeSection, ValType,
};
use wit_parser::abi::{AbiVariant, WasmSignature, WasmType};
use wit_parser::{
    InterfaceId, LiftLowerAbi, ManglingAndAbi, Resolve, ResourceIntrinsic, Type, TypeId, WasmExport,
    WasmExportKind, WasmImport, WorldKey,
};

use super::super::capability::Needs;
use super::handle::{self, Passed};
use super::value::{BASE, Constants, Manner};
use super::{DeniedInterface, DenyError, Target, owner};

/// Also for an `async func`: one that never waits may be lifted as if it were none.
const ABI: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);

const PAGE_BYTES: usize = 65_536;

/// The core module for a world that exports `denied`.
pub(super) fn build(resolve: &Resolve, denied: &[DeniedInterface<'_>]) -> Result<Vec<u8>, DenyError> {
    let mut builder = Builder {
        resolve,
        own: denied.iter().map(|denied| denied.id).collect(),
        constants: Constants::new(resolve),
        types: TypeSection::new(),
        imports: ImportSection::new(),
        intrinsics: HashMap::new(),
    };
    // Imports come before functions in the index space, so that they are all gathered first.
    let mut plans = Vec::new();
    for denied in denied {
        let key = WorldKey::Interface(denied.id);
        let interface = resolve.interfaces.get(denied.id);
        for function in interface
            .into_iter()
            .flat_map(|interface| interface.functions.values())
        {
            plans.push(builder.plan(&key, function, denied.target)?);
        }
    }
    Ok(builder.finish(plans))
}

struct Builder<'a> {
    resolve: &'a Resolve,
    /// The interfaces that are denied, whose resources are the denial's own.
    own: BTreeSet<InterfaceId>,
    constants: Constants<'a>,
    types: TypeSection,
    imports: ImportSection,
    /// The functions of the canonical ABI that are imported.
    intrinsics: HashMap<(TypeId, &'static str), u32>,
}

/// One function of the denial.
struct Plan {
    export: String,
    signature: WasmSignature,
    /// The handles to give back, and the function that takes each.
    passed: Vec<(Passed, u32)>,
    answer: Answer,
}

enum Answer {
    Nothing,
    Scalar(u64),
    Address(usize),
    /// A resource that can do nothing, made by this function.
    Inert(u32),
    Trap,
}

impl Builder<'_> {
    fn plan(
        &mut self,
        key: &WorldKey,
        function: &wit_parser::Function,
        target: &Target,
    ) -> Result<Plan, DenyError> {
        let signature = self.resolve.wasm_signature(AbiVariant::GuestExport, function);
        let mut passed = Vec::new();
        if !signature.indirect_params {
            for handle in handle::passed(self.resolve, function.params.iter().map(|param| &param.ty)) {
                let intrinsic = match (self.is_own(handle.resource), handle.is_owned) {
                    (false, _) => ResourceIntrinsic::ImportedDrop,
                    (true, true) => ResourceIntrinsic::ExportedDrop,
                    // What a resource's owner gets for a borrowed handle is no handle.
                    (true, false) => continue,
                };
                let take = self.intrinsic(handle.resource, intrinsic)?;
                passed.push((handle, take));
            }
        }
        let answer = match &function.result {
            None => Answer::Nothing,
            Some(result) => self.answer(result, &signature, target)?,
        };
        let export = WasmExport::Func {
            interface: Some(key),
            func: function,
            kind: WasmExportKind::Normal,
        };
        Ok(Plan {
            export: self.resolve.wasm_export_name(ABI, export),
            signature,
            passed,
            answer,
        })
    }

    fn answer(
        &mut self,
        result: &Type,
        signature: &WasmSignature,
        target: &Target,
    ) -> Result<Answer, DenyError> {
        if let Some((resource, true)) = handle::of(self.resolve, result)
            && self.is_own(resource)
        {
            let new = self.intrinsic(resource, ResourceIntrinsic::ExportedNew)?;
            return Ok(Answer::Inert(new));
        }
        let manner = match target.interface.package() {
            "wasi:config" => Manner::Absent,
            _ => Manner::Refused,
        };
        let text = match target.needs {
            Needs::Grant(grant) => format!(
                "access denied: this dependency does not inherit `{}` (`inherit_configuration`)",
                grant.as_str()
            ),
            Needs::Everything | Needs::Nothing => {
                "access denied: this dependency does not inherit all configuration (`inherit_configuration`)"
                    .into()
            }
        };
        Ok(match self.constants.write(result, manner, &text) {
            None => Answer::Trap,
            Some(address) if signature.retptr => Answer::Address(address),
            Some(_) if signature.results.is_empty() => Answer::Nothing,
            Some(address) => Answer::Scalar(self.constants.scalar(address, self.constants.size(result))),
        })
    }

    fn is_own(&self, resource: TypeId) -> bool {
        owner(self.resolve, resource).is_some_and(|owner| self.own.contains(&owner))
    }

    /// The index of the imported function that does `intrinsic` with handles of `resource`.
    fn intrinsic(&mut self, resource: TypeId, intrinsic: ResourceIntrinsic) -> Result<u32, DenyError> {
        let (kind, results): (_, &[ValType]) = match intrinsic {
            ResourceIntrinsic::ImportedDrop => ("imported-drop", &[]),
            ResourceIntrinsic::ExportedDrop => ("exported-drop", &[]),
            ResourceIntrinsic::ExportedNew => ("new", &[ValType::I32]),
            ResourceIntrinsic::ExportedRep => ("rep", &[ValType::I32]),
        };
        if let Some(index) = self.intrinsics.get(&(resource, kind)) {
            return Ok(*index);
        }
        let owner = owner(self.resolve, resource)
            .ok_or_else(|| DenyError::Encode("a resource belongs to no interface".into()))?;
        let key = WorldKey::Interface(owner);
        let (module, name) = self.resolve.wasm_import_name(
            ABI,
            WasmImport::ResourceIntrinsic {
                interface: Some(&key),
                resource,
                intrinsic,
            },
        );
        let ty = self.types.len();
        self.types.ty().function([ValType::I32], results.iter().copied());
        let index = self.imports.len();
        self.imports.import(&module, &name, EntityType::Function(ty));
        self.intrinsics.insert((resource, kind), index);
        Ok(index)
    }

    fn finish(mut self, plans: Vec<Plan>) -> Vec<u8> {
        let (mut functions, mut exports, mut code) =
            (FunctionSection::new(), ExportSection::new(), CodeSection::new());
        let constants = self.constants.finish();
        let free = (BASE + constants.len()).next_multiple_of(16);
        let first = self.imports.len();
        for plan in plans {
            let ty = self.types.len();
            self.types.ty().function(
                plan.signature.params.iter().copied().map(value_type),
                plan.signature.results.iter().copied().map(value_type),
            );
            exports.export(&plan.export, ExportKind::Func, first + functions.len());
            functions.function(ty);
            code.function(&plan.body());
        }
        let ty = self.types.len();
        self.types.ty().function([ValType::I32; 4], [ValType::I32]);
        exports.export(
            &self.resolve.wasm_export_name(ABI, WasmExport::Realloc),
            ExportKind::Func,
            first + functions.len(),
        );
        functions.function(ty);
        code.function(&realloc(free));
        let mut memories = MemorySection::new();
        memories.memory(MemoryType {
            minimum: free.div_ceil(PAGE_BYTES) as u64,
            maximum: None,
            memory64: false,
            shared: false,
            page_size_log2: None,
        });
        exports.export(
            &self.resolve.wasm_export_name(ABI, WasmExport::Memory),
            ExportKind::Memory,
            0,
        );
        let mut data = DataSection::new();
        data.active(0, &ConstExpr::i32_const(address(BASE)), constants);
        let mut module = Module::new();
        module
            .section(&self.types)
            .section(&self.imports)
            .section(&functions)
            .section(&memories)
            .section(&exports)
            .section(&code)
            .section(&data);
        module.finish()
    }
}

impl Plan {
    fn body(&self) -> Function {
        let mut function = Function::new([]);
        let mut code = function.instructions();
        for (handle, take) in &self.passed {
            let param = self.signature.params.get(handle.local as usize);
            let is_wide = param.is_some_and(|ty| value_type(*ty) == ValType::I64);
            handle.give_to(*take, is_wide, &mut code);
        }
        match self.answer {
            Answer::Nothing => {}
            Answer::Address(at) => {
                code.i32_const(address(at));
            }
            Answer::Scalar(value) => {
                self.scalar(value, &mut code);
            }
            Answer::Inert(new) => {
                code.i32_const(0).call(new);
            }
            Answer::Trap => {
                code.unreachable();
            }
        }
        code.end();
        function
    }

    fn scalar(&self, value: u64, code: &mut InstructionSink<'_>) {
        let [low, high] = [value as u32, (value >> 32) as u32];
        for result in &self.signature.results {
            match value_type(*result) {
                ValType::I64 => code.i64_const(value.cast_signed()),
                ValType::F32 => code.f32_const(Ieee32::new(low)),
                ValType::F64 => code.f64_const(Ieee64::new(u64::from(high) << 32 | u64::from(low))),
                _ => code.i32_const(low.cast_signed()),
            };
        }
    }
}

/// `cabi_realloc`: always the same place, after growing the memory if that is needed. Two arguments may lie over each other,
/// since nothing reads them.
fn realloc(free: usize) -> Function {
    const NEW_SIZE: u32 = 3;
    const PAGES: u32 = 4;
    let mut function = Function::new([(1, ValType::I32)]);
    let mut code = function.instructions();
    // The pages that are needed, less those that there are.
    code.local_get(NEW_SIZE)
        .i64_extend_i32_u()
        .i64_const((free + PAGE_BYTES - 1) as i64)
        .i64_add()
        .i64_const(16)
        .i64_shr_u()
        .i32_wrap_i64()
        .memory_size(0)
        .i32_sub()
        .local_tee(PAGES)
        .i32_const(0)
        .i32_gt_s()
        .if_(BlockType::Empty)
        .local_get(PAGES)
        .memory_grow(0)
        .i32_const(-1)
        .i32_eq()
        .if_(BlockType::Empty)
        .unreachable()
        .end()
        .end()
        .i32_const(address(free))
        .end();
    function
}

fn address(at: usize) -> i32 {
    u32::try_from(at).unwrap_or(u32::MAX).cast_signed()
}

/// The type in a module with a memory of 32 bits.
fn value_type(ty: WasmType) -> ValType {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => ValType::I32,
        WasmType::I64 | WasmType::PointerOrI64 => ValType::I64,
        WasmType::F32 => ValType::F32,
        WasmType::F64 => ValType::F64,
    }
}
