//! Components made of WIT and core modules in text form, and a host to run compositions in.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmtime::component::{Component, Instance, Linker, ResourceType, Val, types::ComponentItem};
use wasmtime::{Config, Engine, Store};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::abi::WasmType;
use wit_parser::{
    Function, FunctionKind, Handle, LiftLowerAbi, ManglingAndAbi, Resolve, Type, TypeDefKind, WasmImport,
    WorldId, WorldItem, WorldKey,
};

/// Memory and an allocator that never frees, as every module here has them. Addresses below 4096 are for results.
pub(super) const MEMORY: &str = r#"
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (global.set $free (i32.and (i32.add (global.get $free) (i32.const 15)) (i32.const -16)))
        (global.get $free)
        (global.set $free (i32.add (global.get $free) (local.get 3))))
"#;

/// A component with the world `test` of `wit`; `core` is the text within its core module.
pub(super) fn component(wit: &str, core: &str) -> Vec<u8> {
    let (resolve, world) = resolve(wit);
    encode(&resolve, world, core)
}

fn resolve(wit: &str) -> (Resolve, WorldId) {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("test")).unwrap();
    (resolve, world)
}

fn encode(resolve: &Resolve, world: WorldId, core: &str) -> Vec<u8> {
    let mut module = wat::parse_str(format!("(module {core})")).unwrap();
    wit_component::embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

/// What the probing component offers: calls the function with that number and gives the first bytes of what it returned.
const PROBE: &str = "interface api { probe: async func(which: u32) -> list<u8>; }";

/// A component that exports `test:probe/api`, whose `probe` calls the functions `calls` (`interface#function`) of `wit`, which
/// is any number of packages. Arguments are zeros and empty, and handles are made by the constructor of their resource. A
/// function whose name follows `async ` is called as guests of WASI 0.3 do; the last byte is then the state of the call.
pub(super) fn prober(wit: &str, calls: &[&str]) -> Vec<u8> {
    let mut interfaces: Vec<&str> = calls.iter().map(|call| interface_of(call)).collect();
    interfaces.dedup();
    let imports: String = interfaces.iter().map(|name| format!("import {name};")).collect();
    let wit = format!("package test:probe; {PROBE} world test {{ {imports} export api; }} {wit}");
    let (resolve, world) = resolve(&wit);
    let mut imports = BTreeMap::new();
    let mut bodies = String::new();
    for (which, call) in calls.iter().enumerate() {
        let abi = match call.starts_with("async ") {
            true => LiftLowerAbi::AsyncCallback,
            false => LiftLowerAbi::Sync,
        };
        let (key, function) = find(
            &resolve,
            world,
            interface_of(call),
            call.split('#').nth(1).unwrap(),
        );
        let import = import(&resolve, key, function, abi, &mut imports);
        let signature = resolve.wasm_signature(abi.import_variant(), function);
        let mut arguments = String::new();
        if signature.indirect_params {
            // Zeros, up to where the allocator begins.
            arguments.push_str("(i32.const 2048)");
        } else {
            for param in &function.params {
                argument(&resolve, &param.ty, &mut imports, &mut arguments);
            }
        }
        if signature.retptr {
            arguments.push_str("(i32.const 1024)");
        }
        let call = format!("(call ${import} {arguments})");
        let call = match signature.results.first() {
            None => call,
            Some(_) if abi != LiftLowerAbi::Sync => format!("(i32.store8 (i32.const 1087) {call})"),
            Some(ty) => format!("({}.store (i32.const 1024) {call})", core_type(*ty)),
        };
        writeln!(
            bodies,
            "(if (i32.eq (local.get 0) (i32.const {which})) (then {call}))"
        )
        .unwrap();
    }
    let imports: String = imports.into_values().collect();
    let core = format!(
        r#"{imports} {MEMORY}
        (func (export "test:probe/api#probe") (param i32) (result i32)
            (memory.fill (i32.const 1024) (i32.const 0) (i32.const 64))
            {bodies}
            (i32.store (i32.const 512) (i32.const 1024))
            (i32.store (i32.const 516) (i32.const 64))
            (i32.const 512))"#
    );
    encode(&resolve, world, &core)
}

/// The interface of a call.
pub(super) fn interface_of(call: &str) -> &str {
    call.trim_start_matches("async ").split('#').next().unwrap()
}

fn find<'r>(
    resolve: &'r Resolve,
    world: WorldId,
    interface: &str,
    function: &str,
) -> (&'r WorldKey, &'r Function) {
    let (key, item) = resolve.worlds[world]
        .imports
        .iter()
        .find(|(key, _)| resolve.name_world_key(key) == interface)
        .unwrap();
    let WorldItem::Interface { id, .. } = item else {
        panic!("{interface} is no interface")
    };
    let functions = &resolve.interfaces[*id].functions;
    (
        key,
        functions
            .get(function)
            .unwrap_or_else(|| panic!("no {function} in {:?}", functions.keys())),
    )
}

/// Declares an imported function, and gives its name in the module.
fn import(
    resolve: &Resolve,
    key: &WorldKey,
    function: &Function,
    abi: LiftLowerAbi,
    imports: &mut BTreeMap<String, String>,
) -> String {
    let (module, name) = resolve.wasm_import_name(
        ManglingAndAbi::Legacy(abi),
        WasmImport::Func {
            interface: Some(key),
            func: function,
        },
    );
    let signature = resolve.wasm_signature(abi.import_variant(), function);
    let list =
        |types: &[WasmType]| -> String { types.iter().map(|ty| format!(" {}", core_type(*ty))).collect() };
    let label = format!("\"{module}#{name}\"");
    imports.insert(
        label.clone(),
        format!(
            "(import {module:?} {name:?} (func ${label} (param{}) (result{})))",
            list(&signature.params),
            list(&signature.results)
        ),
    );
    label
}

fn argument(resolve: &Resolve, ty: &Type, imports: &mut BTreeMap<String, String>, text: &mut String) {
    if let Type::Id(id) = ty {
        match &resolve.types[*id].kind {
            TypeDefKind::Type(ty) => return argument(resolve, ty, imports, text),
            TypeDefKind::Option(ty) => {
                text.push_str("(i32.const 1)");
                return argument(resolve, ty, imports, text);
            }
            TypeDefKind::Handle(Handle::Own(resource) | Handle::Borrow(resource)) => {
                let mut resource = *resource;
                while let TypeDefKind::Type(Type::Id(id)) = &resolve.types[resource].kind {
                    resource = *id;
                }
                let wit_parser::TypeOwner::Interface(owner) = resolve.types[resource].owner else {
                    panic!("a resource of no interface")
                };
                let constructor = resolve.interfaces[owner].functions.values().find(
                    |function| matches!(function.kind, FunctionKind::Constructor(of) if of == resource),
                );
                let key = WorldKey::Interface(owner);
                let label = import(
                    resolve,
                    &key,
                    constructor.expect("a constructor"),
                    LiftLowerAbi::Sync,
                    imports,
                );
                write!(text, "(call ${label})").unwrap();
                return;
            }
            _ => {}
        }
    }
    let mut storage = [WasmType::I32; 16];
    let mut flat = wit_parser::abi::FlatTypes::new(&mut storage);
    resolve.push_flat(ty, &mut flat);
    for ty in flat.to_vec() {
        write!(text, "({}.const 0)", core_type(ty)).unwrap();
    }
}

fn core_type(ty: WasmType) -> &'static str {
    match ty {
        WasmType::I32 | WasmType::Pointer | WasmType::Length => "i32",
        WasmType::I64 | WasmType::PointerOrI64 => "i64",
        WasmType::F32 => "f32",
        WasmType::F64 => "f64",
    }
}

/// A component that passes on `probe` of a dependency.
pub(super) fn passing_on() -> Vec<u8> {
    let wit = format!(
        "package test:main; world test {{ import test:probe/api; export probe: async func(which: u32) -> list<u8>; }}
         package test:probe {{ {PROBE} }}"
    );
    component(
        &wit,
        &format!(
            r#"(import "test:probe/api" "probe" (func $probe (param i32 i32))) {MEMORY}
            (func (export "probe") (param i32) (result i32)
                (call $probe (local.get 0) (i32.const 16))
                (i32.const 16))"#
        ),
    )
}

/// A composition, running.
pub(super) struct Running {
    store: Store<()>,
    instance: Instance,
    /// The functions of the host that were called.
    pub(super) reached: Arc<parking_lot::Mutex<Vec<String>>>,
    /// Resources of the host that are there.
    pub(super) resources: Arc<AtomicUsize>,
}

pub(super) fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.wasm_component_model_async(true);
    Engine::new(&config).unwrap()
}

/// The names of what a component imports and exports.
pub(super) fn interface(bytes: &[u8]) -> (Vec<String>, Vec<String>) {
    let engine = engine();
    let component = Component::new(&engine, bytes).unwrap();
    let ty = component.component_type();
    (
        ty.imports(&engine).map(|(name, _)| name.to_owned()).collect(),
        ty.exports(&engine).map(|(name, _)| name.to_owned()).collect(),
    )
}

impl Running {
    /// Instantiates a composition with a host that has all that is imported: constructors make resources, and any other
    /// function fails, after it was written down.
    pub(super) async fn start(bytes: &[u8]) -> Self {
        let engine = engine();
        let component = Component::new(&engine, bytes).unwrap();
        let mut linker = Linker::new(&engine);
        let (reached, resources) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        for (interface, item) in component.component_type().imports(&engine) {
            let ComponentItem::ComponentInstance(ty) = item.ty else {
                panic!("{interface} is no instance")
            };
            let mut instance = linker.instance(interface).unwrap();
            for (name, item) in ty.exports(&engine) {
                let label = format!("{interface}#{name}");
                match item.ty {
                    ComponentItem::Resource(_) => {
                        let resources = Arc::clone(&resources);
                        let dropped = move |_: wasmtime::StoreContextMut<'_, ()>, _| {
                            resources.fetch_sub(1, Ordering::SeqCst);
                            Ok(())
                        };
                        instance
                            .resource(name, ResourceType::host::<()>(), dropped)
                            .unwrap();
                    }
                    ComponentItem::ComponentFunc(_) if name.starts_with("[constructor]") => {
                        let resources = Arc::clone(&resources);
                        let made = move |_: wasmtime::StoreContextMut<'_, ()>, ()| {
                            resources.fetch_add(1, Ordering::SeqCst);
                            Ok((wasmtime::component::Resource::<()>::new_own(7),))
                        };
                        instance.func_wrap(name, made).unwrap();
                    }
                    ComponentItem::ComponentFunc(ty) if ty.async_() => {
                        let reached: Arc<parking_lot::Mutex<Vec<String>>> = Arc::clone(&reached);
                        let called = instance.func_new_concurrent(name, move |_, _, _, _| {
                            reached.lock().push(label.clone());
                            Box::pin(async { Err(wasmtime::Error::msg("the host was reached")) })
                        });
                        called.unwrap();
                    }
                    ComponentItem::ComponentFunc(_) => {
                        let reached: Arc<parking_lot::Mutex<Vec<String>>> = Arc::clone(&reached);
                        let call =
                            move |_: wasmtime::StoreContextMut<'_, ()>, _, _: &[Val], _: &mut [Val]| {
                                reached.lock().push(label.clone());
                                Err(wasmtime::Error::msg("the host was reached"))
                            };
                        instance.func_new(name, call).unwrap();
                    }
                    _ => {}
                }
            }
        }
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
        Self {
            store,
            instance,
            reached,
            resources,
        }
    }

    /// Calls the exported function `probe`.
    pub(super) async fn probe(&mut self, which: u32) -> wasmtime::Result<Vec<u8>> {
        let probe = self
            .instance
            .get_typed_func::<(u32,), (Vec<u8>,)>(&mut self.store, "probe")
            .unwrap();
        Ok(probe.call_async(&mut self.store, (which,)).await?.0)
    }

    /// Calls the exported function `run`.
    pub(super) async fn run(&mut self) -> u32 {
        let run = self
            .instance
            .get_typed_func::<(), (u32,)>(&mut self.store, "run")
            .unwrap();
        run.call_async(&mut self.store, ()).await.unwrap().0
    }
}
