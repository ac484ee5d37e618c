//! What the bytes of a component say of it before anything runs: what it imports and exports, and which binding generators
//! left their runtime in it.
//!
//! The generators are told by the paths that Rust keeps for messages of panics (`wit-bindgen-0.57.1/src/rt/…`). The section
//! `producers` cannot tell: linking merges it and keeps one version of each tool, whichever were used. *Bound*: one pass over
//! the bytes; at most [`MAX_GENERATORS`] versions are kept for a core module.

use std::collections::BTreeSet;

use semver::Version;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// Versions of binding generators that are kept of one core module.
const MAX_GENERATORS: usize = 8;

/// What a path of the runtime begins with, and what follows its version.
const GENERATOR: &[u8] = b"wit-bindgen-";
const RUNTIME: &[&[u8]] = &[b"/src/rt/async_support", b"\\src\\rt\\async_support"];

/// The longest version that is looked for, in bytes.
const MAX_VERSION: usize = 32;

/// What a component is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Anatomy {
    /// What it imports, by name, in its order.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// For each core module with an asynchronous runtime of `wit-bindgen`, the versions of it.
    pub generators: Vec<BTreeSet<Version>>,
}

impl Anatomy {
    /// Reads a component. What is not valid ends the reading: the compiler says what is wrong with it.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut anatomy = Self::default();
        // One entry for each module or component that is open, with the generators seen in it.
        let mut open: Vec<BTreeSet<Version>> = Vec::new();
        for payload in Parser::new(0).parse_all(bytes) {
            let Ok(payload) = payload else { break };
            match payload {
                Payload::Version { .. } => open.push(BTreeSet::new()),
                Payload::End(_) => {
                    let generators = open.pop().unwrap_or_default();
                    if !generators.is_empty() {
                        anatomy.generators.push(generators);
                    }
                }
                Payload::ComponentImportSection(section) if open.len() == 1 => {
                    let imports = section.into_iter().map_while(Result::ok);
                    anatomy
                        .imports
                        .extend(imports.map(|import| import.name.name.to_owned()));
                }
                Payload::ComponentExportSection(section) if open.len() == 1 => {
                    let exports = section.into_iter().map_while(Result::ok);
                    anatomy
                        .exports
                        .extend(exports.map(|export| export.name.name.to_owned()));
                }
                Payload::DataSection(section) => {
                    if let Some(generators) = open.last_mut() {
                        for data in section.into_iter().map_while(Result::ok) {
                            collect(data.data, generators);
                        }
                    }
                }
                _ => {}
            }
        }
        anatomy
    }

    /// The newest WASI among its imports and exports, such as `0.3`.
    pub(super) fn wasi(&self) -> Option<String> {
        let names = self.imports.iter().chain(&self.exports);
        let versions = names.filter_map(|name| {
            let (_, version) = name.strip_prefix("wasi:")?.split_once('@')?;
            Version::parse(version).ok()
        });
        // `wasi:keyvalue@0.2.0-draft` and its like say nothing of the WASI that a guest is built for.
        versions
            .filter(|version| version.pre.is_empty())
            .max()
            .map(|version| format!("{}.{}", version.major, version.minor))
    }

    /// The capabilities of the host that it imports, each once, in a fixed order.
    pub(super) fn capabilities(&self) -> Vec<&'static str> {
        let capabilities: BTreeSet<_> = self.imports.iter().filter_map(|name| capability(name)).collect();
        capabilities.into_iter().collect()
    }
}

/// Names of the imports of a component that somebody must provide: not those of interfaces that have only types of values.
pub(super) fn demands(bytes: &[u8]) -> Vec<String> {
    let mut imports = Anatomy::of(bytes).imports;
    let Ok(types) = Validator::new_with_features(WasmFeatures::all()).validate_all(bytes) else {
        return imports;
    };
    let is_type = |ty: &ComponentEntityType| match ty {
        ComponentEntityType::Type { referenced, .. } => {
            !matches!(referenced, ComponentAnyTypeId::Resource(_))
        }
        _ => false,
    };
    imports.retain(
        |name| match types.component_item_for_import(name).map(|item| item.ty) {
            Some(ComponentEntityType::Instance(id)) => {
                !types[id].exports.values().all(|export| is_type(&export.ty))
            }
            Some(ty) => !is_type(&ty),
            None => true,
        },
    );
    imports
}

/// Which capability an interface of the host belongs to. Interfaces that every guest imports belong to none.
fn capability(import: &str) -> Option<&'static str> {
    let name = import.split('@').next().unwrap_or(import);
    Some(match name.split_once('/')? {
        ("fermyon:spin", "key-value") | ("spin:key-value" | "wasi:keyvalue", _) => "key-value",
        ("fermyon:spin", "sqlite") | ("spin:sqlite", _) => "sqlite",
        ("fermyon:spin", "variables" | "config") | ("spin:variables" | "wasi:config", _) => "variables",
        ("fermyon:spin", "http") | ("wasi:http", "outgoing-handler" | "client") => "outbound-http",
        ("wasi:sockets", "tcp-create-socket" | "udp-create-socket" | "ip-name-lookup" | "types") => "sockets",
        ("fermyon:spin", "redis") | ("spin:redis", _) => "redis",
        ("fermyon:spin", "postgres") | ("spin:postgres", _) => "postgres",
        ("fermyon:spin", "mysql") | ("spin:mysql", _) => "mysql",
        ("fermyon:spin", "mqtt") | ("spin:mqtt", _) => "mqtt",
        ("fermyon:spin", "llm") | ("spin:llm", _) => "llm",
        ("wasi:filesystem", "preopens") => "files",
        _ => return None,
    })
}

/// Adds the versions of the generators whose runtime `data` names.
fn collect(data: &[u8], generators: &mut BTreeSet<Version>) {
    let mut rest = data;
    while let Some(start) = find(rest, GENERATOR) {
        rest = rest.get(start + GENERATOR.len()..).unwrap_or_default();
        if generators.len() >= MAX_GENERATORS {
            return;
        }
        let end = rest
            .iter()
            .take(MAX_VERSION)
            .position(|byte| matches!(byte, b'/' | b'\\'));
        let Some((version, path)) = end.and_then(|end| rest.split_at_checked(end)) else {
            continue;
        };
        let version = std::str::from_utf8(version)
            .ok()
            .and_then(|text| Version::parse(text).ok());
        if let Some(version) = version
            && RUNTIME.iter().any(|runtime| path.starts_with(runtime))
        {
            generators.insert(version);
        }
    }
}

/// Where `needle` first is in `bytes`.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(text: &str) -> Anatomy {
        Anatomy::of(&wat::parse_str(text).unwrap())
    }

    fn versions(texts: &[&str]) -> BTreeSet<Version> {
        texts.iter().map(|text| Version::parse(text).unwrap()).collect()
    }

    #[test]
    fn generators_are_told_apart_by_the_module_that_they_are_in() {
        let anatomy = component(
            r#"(component
                (core module
                    (memory 1)
                    (data (i32.const 0) "/reg/wit-bindgen-0.57.1/src/rt/async_support.rs/x/wit-bindgen-0.51.0/src/rt/async_support/subtask.rs"))
                (component
                    (core module
                        (memory 1)
                        (data (i32.const 0) "C:\\reg\\wit-bindgen-0.62.0\\src\\rt\\async_support.rs")))
                (core module))"#,
        );
        assert_eq!(
            anatomy.generators,
            [versions(&["0.51.0", "0.57.1"]), versions(&["0.62.0"])]
        );
    }

    #[test]
    fn what_only_looks_like_a_generator_is_none() {
        let mut generators = BTreeSet::new();
        for text in [
            "wit-bindgen-",
            "wit-bindgen-/src/rt/async_support",
            "wit-bindgen-rt-0.24.0/src/rt/async_support",
            "wit-bindgen-0.57.1/src/lib.rs",
            "wit-bindgen-0.57.1",
            "wit-bindgen-0.57.1/src/rt/mod.rs",
        ] {
            collect(text.as_bytes(), &mut generators);
        }
        collect(
            format!("wit-bindgen-{}/src/rt/async_support", "1".repeat(200)).as_bytes(),
            &mut generators,
        );
        assert_eq!(generators, BTreeSet::new());
        for minor in 0..100 {
            let text = format!("wit-bindgen-0.{minor}.0/src/rt/async_support");
            collect(text.as_bytes(), &mut generators);
        }
        assert_eq!(generators.len(), MAX_GENERATORS);
    }

    #[test]
    fn imports_and_exports_are_those_of_the_component_itself() {
        let anatomy = component(
            r#"(component
                (import "wasi:io/poll@0.2.6" (instance))
                (import "wasi:clocks/types@0.3.0" (instance))
                (import "wasi:keyvalue/store@0.9.0-draft" (instance))
                (import "fermyon:spin/key-value@2.0.0" (instance))
                (component (import "wasi:http/client@0.4.0" (instance)))
                (instance $i)
                (export "a:b/c@1.0.0" (instance $i)))"#,
        );
        assert_eq!(anatomy.imports.len(), 4);
        assert_eq!(anatomy.exports, ["a:b/c@1.0.0"]);
        assert_eq!(anatomy.wasi().as_deref(), Some("0.3"));
        assert_eq!(anatomy.capabilities(), ["key-value"]);
    }

    #[test]
    fn types_alone_are_no_demand() {
        let bytes = wat::parse_str(
            r#"(component
                (import "a:b/types@1.0.0" (instance (type $r (record (field "x" u8))) (export "r" (type (eq $r)))))
                (import "a:b/resources@1.0.0" (instance (export "r" (type (sub resource)))))
                (import "a:b/functions@1.0.0" (instance (export "f" (func)))))"#,
        );
        assert_eq!(
            demands(&bytes.unwrap()),
            ["a:b/resources@1.0.0", "a:b/functions@1.0.0"]
        );
    }

    #[test]
    fn bytes_that_are_no_component_have_no_anatomy() {
        for bytes in [b"".as_slice(), b"\0asm", b"\0asm\x0d\0\x01\0\xff\xff\xff"] {
            assert_eq!(Anatomy::of(bytes), Anatomy::default());
        }
        assert_eq!(Anatomy::default().wasi(), None);
    }
}
