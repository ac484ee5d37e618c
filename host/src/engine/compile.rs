//! From bytes to code that is ready to be instantiated: validate, compile or load from the cache, link.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{Component, InstancePre};
use wasmtime_wasi_http::{p2, p3};

use super::effort::{self, Excess};
use super::export::Exports;
use super::foreign::{self, Foreign};
use super::guest::Guest;
use super::transit::Transit;
use super::{CacheError, Engines, Half, InstancesError, check_instances};
use crate::model::{Digest, Instances, Limits};

/// The largest component that is taken, in bytes.
pub const MAX_COMPONENT_BYTES: usize = 100 * 1024 * 1024;

/// A page of linear memory, in bytes.
const WASM_PAGE: u64 = 64 * 1024;

/// The handler that a component exports.
#[derive(Clone)]
pub(super) enum Entry {
    /// `wasi:http/incoming-handler@0.2`.
    Incoming(p2::bindings::ProxyIndices),
    /// `wasi:http/handler@0.3`.
    Handler(p3::bindings::ServiceIndices),
    /// No HTTP.
    None,
}

/// Where code came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Loaded from the ahead-of-time cache.
    Cached,
    /// Compiled now, which took so long.
    Compiled(Duration),
}

/// A component that is compiled, and not linked yet.
pub struct Compiled {
    digest: Digest,
    component: Component,
    concurrent: bool,
    origin: Origin,
}

impl Compiled {
    /// The digest of the bytes that it was compiled from.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether it runs on the engine with component-model async.
    pub fn is_concurrent(&self) -> bool {
        self.concurrent
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The component, for a look at its types.
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// The names of what it imports: interfaces with their versions, such as `wasi:sockets/tcp@0.2.6`, and whatever else stands
    /// at its top level.
    pub fn imports(&self) -> Vec<String> {
        let imports = self.component.component_type();
        let names = imports
            .imports(self.component.engine())
            .map(|(name, _)| name.to_owned());
        names.collect()
    }

    /// Whether it exports an HTTP handler.
    pub fn has_handler(&self) -> bool {
        !handlers(&self.component).is_empty()
    }
}

/// A component that is compiled and linked.
pub struct Code {
    pub(super) digest: Digest,
    pub(super) pre: InstancePre<Guest>,
    pub(super) entry: Entry,
    pub(super) exports: Exports,
    pub(super) concurrent: bool,
}

/// A file is not a component that this host can run.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// Not WebAssembly at all.
    #[error("it is not WebAssembly: it starts with {found}, not with the bytes `\\0asm`")]
    NotWasm {
        /// Its first bytes, printable.
        found: String,
    },
    /// A core module.
    #[error("it is a core WebAssembly module, not a component")]
    CoreModule,
    /// Larger than [`MAX_COMPONENT_BYTES`].
    #[error("it has {bytes} bytes; at most {MAX_COMPONENT_BYTES} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Compiling it would take too much time and memory.
    #[error("compiling it would take too much: {0}")]
    TooMuchWork(Excess),
    /// Wasmtime refused it.
    #[error("it is not a valid component")]
    Invalid(#[source] wasmtime::Error),
    /// It imports something that nothing provides.
    #[error("it imports `{import}`, which nothing provides")]
    UnknownImport {
        /// The interface or function.
        import: String,
        /// What to do about it.
        hint: String,
        /// What Wasmtime said.
        source: wasmtime::Error,
    },
    /// It exports both versions of the HTTP handler.
    #[error("it exports more than one HTTP handler: {0}")]
    TwoHandlers(Names),
    /// Its handler is of another shape than the interface's.
    #[error("its HTTP handler does not fit the interface")]
    Handler(#[source] wasmtime::Error),
    /// Its memory is larger from the start than the service may have.
    #[error(
        "its memory has {needs} bytes from the start, more than the limit `{key}`, {limit} bytes, allows"
    )]
    MemoryTooSmall {
        /// The largest memory that it declares, in bytes.
        needs: u64,
        /// The key of the limit.
        key: &'static str,
        /// What that allows, in bytes.
        limit: u64,
    },
    /// The manifest asks something of its instances that they cannot do.
    #[error(transparent)]
    Instances(#[from] InstancesError),
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
}

impl CompileError {
    /// What its reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotWasm { .. } => Some("check `source`, or run `midplane build` first".into()),
            Self::CoreModule => {
                Some("build for a component target, for example `cargo build --target wasm32-wasip2`".into())
            }
            Self::UnknownImport { hint, .. } => Some(hint.clone()),
            Self::TwoHandlers(_) => {
                Some("export either `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`".into())
            }
            Self::MemoryTooSmall { key, .. } => Some(format!(
                "raise `{key}`, or build it with a smaller memory to begin with"
            )),
            Self::Instances(_) => Some(
                "write `concurrency = 1` under `[component.<id>.tool.midplane.instances]`, or leave it out"
                    .into(),
            ),
            Self::Cache(error) => Some(error.hint()),
            Self::TooLarge { .. } => {
                Some("build it with `strip = true`, `lto = true` and `opt-level = \"s\"`".into())
            }
            Self::TooMuchWork(_) => Some(
                "build it with `opt-level = \"s\"`, or split what generates code into smaller functions"
                    .into(),
            ),
            Self::Invalid(_) => Some("build it again; `wasm-tools validate` tells more".into()),
            Self::Handler(_) => Some("build it against the released `wasi:http` interface".into()),
        }
    }
}

/// Names of exports, for a message.
#[derive(Debug)]
pub struct Names(Vec<String>);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

impl Code {
    /// The digest of the bytes that it was compiled from.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The least linear memory that an instance has, in bytes: its largest memory as it is declared. 0 if that cannot be told.
    pub(super) fn least_memory(&self) -> u64 {
        let required = self.pre.component().resources_required();
        let pages = required.and_then(|required| required.max_initial_memory_size);
        pages.unwrap_or(0).saturating_mul(WASM_PAGE)
    }

    /// Whether an instance can come up at all within these limits, as far as that is known before one does, and whether it can
    /// serve as it is asked to.
    ///
    /// # Errors
    /// [`CompileError::MemoryTooSmall`] and [`CompileError::Instances`].
    pub fn check(&self, limits: &Limits, instances: &Instances) -> Result<(), CompileError> {
        check_instances(self, instances)?;
        let needs = self.least_memory();
        let keys = [
            ("instance_memory", limits.instance_memory),
            ("memory", limits.memory),
        ];
        match keys.into_iter().find(|(_, limit)| needs > *limit) {
            Some((key, limit)) => Err(CompileError::MemoryTooSmall { needs, key, limit }),
            None => Ok(()),
        }
    }

    /// Whether it can answer HTTP requests.
    pub fn has_handler(&self) -> bool {
        !matches!(self.entry, Entry::None)
    }
}

impl Engines {
    /// Takes a component from the cache, or compiles it, after having called `compiles`. Blocks for as long as that takes:
    /// compiling is done by threads of a low priority, which all callers share.
    pub fn load(&self, bytes: &[u8], compiles: &dyn Fn()) -> Result<Compiled, CompileError> {
        self.load_known(Digest::of(bytes), bytes, compiles)
    }

    /// As [`Self::load`], for bytes whose digest is known.
    pub fn load_known(
        &self,
        digest: Digest,
        bytes: &[u8],
        compiles: &dyn Fn(),
    ) -> Result<Compiled, CompileError> {
        check_kind(bytes)?;
        for half in [&self.plain, &self.concurrent] {
            if let Some(component) = half.cache.load(&half.engine, &digest) {
                return Ok(Compiled {
                    digest,
                    component,
                    concurrent: self.is_concurrent(half),
                    origin: Origin::Cached,
                });
            }
        }
        effort::check(bytes).map_err(CompileError::TooMuchWork)?;
        compiles();
        let started = Instant::now();
        let (half, artifact) = self.precompile(bytes, || {})?;
        let took = started.elapsed();
        half.cache.store(&digest, &artifact)?;
        drop(artifact);
        // From the file, so that its pages are shared and can be dropped by the system.
        let component = half.cache.load(&half.engine, &digest).ok_or_else(|| {
            CompileError::Invalid(wasmtime::format_err!(
                "the compiled component does not load from the cache"
            ))
        })?;
        Ok(Compiled {
            digest,
            component,
            concurrent: self.is_concurrent(half),
            origin: Origin::Compiled(took),
        })
    }

    /// Compiles on the compiler's threads; there, `begun` is called first.
    fn precompile(
        &self,
        bytes: &[u8],
        begun: impl FnOnce() + Send,
    ) -> Result<(&Half, Vec<u8>), CompileError> {
        self.compiler.run(|| {
            begun();
            // Validation comes first in compiling, so what the plain engine cannot run it refuses quickly.
            if let Ok(artifact) = self.plain.engine.precompile_component(bytes) {
                return Ok((&self.plain, artifact));
            }
            let artifact = self.concurrent.engine.precompile_component(bytes);
            artifact
                .map(|artifact| (&self.concurrent, artifact))
                .map_err(CompileError::Invalid)
        })
    }

    /// Links a component: to the capabilities of this host, and to what `foreign` names.
    pub fn link(&self, compiled: &Compiled, foreign: Vec<Foreign>) -> Result<Code, CompileError> {
        self.half(compiled.concurrent)
            .link(compiled, foreign, &self.transit)
    }

    fn is_concurrent(&self, half: &Half) -> bool {
        std::ptr::eq(half, &self.concurrent)
    }
}

impl Half {
    fn link(
        &self,
        compiled: &Compiled,
        foreign: Vec<Foreign>,
        transit: &Arc<Transit>,
    ) -> Result<Code, CompileError> {
        let component = &compiled.component;
        let mut own;
        let linker = if foreign.is_empty() {
            &self.linker
        } else {
            own = self.linker.clone();
            for foreign in foreign {
                foreign::define(&mut own, component, foreign, transit).map_err(CompileError::Invalid)?;
            }
            &own
        };
        let pre = linker
            .instantiate_pre(component)
            .map_err(|source| unknown_import(linker, component, source))?;
        // Now, and not by the first request.
        if let Err(error) = component.initialize_copy_on_write_image() {
            tracing::debug!(error = %error, "the memory image of a component is made by its first instance");
        }
        Ok(Code {
            digest: compiled.digest,
            entry: entry(component, &pre)?,
            exports: Exports::of(component),
            concurrent: compiled.concurrent,
            pre,
        })
    }
}

fn handlers(component: &Component) -> Vec<String> {
    component
        .component_type()
        .exports(component.engine())
        .map(|(name, _)| name.to_owned())
        .filter(|name| {
            name.starts_with("wasi:http/incoming-handler@0.2.") || name.starts_with("wasi:http/handler@0.3.")
        })
        .collect()
}

fn entry(component: &Component, pre: &InstancePre<Guest>) -> Result<Entry, CompileError> {
    let handlers = handlers(component);
    match handlers.as_slice() {
        [] => Ok(Entry::None),
        [one] if one.starts_with("wasi:http/incoming-handler") => p2::bindings::ProxyIndices::new(pre)
            .map(Entry::Incoming)
            .map_err(CompileError::Handler),
        [_] => p3::bindings::ServiceIndices::new(pre)
            .map(Entry::Handler)
            .map_err(CompileError::Handler),
        _ => Err(CompileError::TwoHandlers(Names(handlers))),
    }
}

/// Names the import that stands in the way, in place of Wasmtime's whole chain.
fn unknown_import(
    linker: &wasmtime::component::Linker<Guest>,
    component: &Component,
    source: wasmtime::Error,
) -> CompileError {
    let text = format!("{source:#}");
    let engine = linker.engine();
    let import = component
        .component_type()
        .imports(engine)
        .map(|(name, _)| name.to_owned())
        .find(|name| text.contains(&format!("`{name}`")));
    match import {
        Some(import) => CompileError::UnknownImport {
            hint: hint(&import),
            import,
            source,
        },
        None => CompileError::Invalid(source),
    }
}

/// Interfaces of Spin that a component may well import and this version does not have.
const LATER: [&str; 8] = [
    "spin:postgres",
    "spin:redis",
    "spin:mysql",
    "spin:mqtt",
    "wasi:keyvalue",
    "wasi:config",
    "wasi:otel",
    "fermyon:spin",
];

fn hint(import: &str) -> String {
    if LATER.iter().any(|prefix| import.starts_with(prefix)) {
        format!("`{import}` is an interface of Spin that this version of Midplane does not have yet")
    } else if import.starts_with("wasi:") {
        "Midplane offers WASI 0.2 and 0.3.0; build the component against one of these".into()
    } else {
        "nothing of this host provides it; only whole interfaces with a package, such as \
         `shop:catalog/products@1.0.0`, are linked to other services"
            .into()
    }
}

fn check_kind(bytes: &[u8]) -> Result<(), CompileError> {
    if bytes.len() > MAX_COMPONENT_BYTES {
        return Err(CompileError::TooLarge { bytes: bytes.len() });
    }
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(CompileError::CoreModule),
        [0, b'a', b's', b'm', ..] => Ok(()),
        _ => {
            let found = String::from_utf8_lossy(bytes.get(..16.min(bytes.len())).unwrap_or_default());
            let found = if found.is_empty() {
                "nothing (it is empty)".into()
            } else {
                format!("{:?}", found.as_ref())
            };
            Err(CompileError::NotWasm { found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_named() {
        assert!(matches!(check_kind(b""), Err(CompileError::NotWasm { .. })));
        assert!(matches!(
            check_kind(b"#!/bin/sh\n"),
            Err(CompileError::NotWasm { .. })
        ));
        assert!(matches!(
            check_kind(b"\0asm\x01\0\0\0"),
            Err(CompileError::CoreModule)
        ));
        assert!(check_kind(b"\0asm\x0d\0\x01\0").is_ok());
    }

    fn engines(cache: &std::path::Path) -> Arc<Engines> {
        let settings = crate::engine::Settings {
            max_instances: 4,
            ..Default::default()
        };
        Engines::new(settings, cache).expect("engines")
    }

    #[test]
    fn components_are_compiled_at_a_low_priority() {
        let cache = tempfile::tempdir().expect("a temporary directory");
        let engines = engines(&cache.path().join("cache"));
        let bytes = wat::parse_str("(component)").expect("a component");
        let mut nice = None;
        let compiled = engines.precompile(&bytes, || {
            nice = rustix::process::getpriority_process(None).ok();
        });
        assert!(compiled.is_ok());
        assert_eq!(nice, Some(5));
    }

    #[test]
    fn imports_are_named_as_the_component_names_them() {
        let cache = tempfile::tempdir().expect("a temporary directory");
        let engines = engines(&cache.path().join("cache"));
        let text = r#"(component
            (import "wasi:sockets/network@0.2.6" (instance (export "network" (type (sub resource)))))
            (import "shop:catalog/products@1.0.0" (instance (export "count" (func (result u32)))))
            (import "bare" (func)))"#;
        let bytes = wat::parse_str(text).expect("a component");
        let compiled = engines.load(&bytes, &|| {}).expect("it compiles");
        assert_eq!(
            compiled.imports(),
            [
                "wasi:sockets/network@0.2.6",
                "shop:catalog/products@1.0.0",
                "bare"
            ]
        );
    }
}
