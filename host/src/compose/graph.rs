//! Instances and what connects them, over `wac-graph`. Turns its errors into sentences about the components by the names that
//! people know.

use std::collections::HashMap;
use std::fmt;

use wac_graph::types::{ItemKind, Package, Type};
use wac_graph::{
    CompositionGraph, EncodeError, EncodeOptions, InstantiationArgumentError, NodeId, PackageId,
};

use super::error::ComposeError;
use crate::model::InterfaceName;

/// A composition in the making.
pub(super) struct Graph {
    graph: CompositionGraph,
    /// What people call each instance.
    names: HashMap<NodeId, String>,
}

/// An instance of a component within the composition.
#[derive(Clone)]
pub(super) struct Instance {
    package: PackageId,
    node: NodeId,
}

/// An import or an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extern {
    pub(super) name: String,
    pub(super) shape: Shape,
}

/// What an import or export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// An instance with functions or resources of its own.
    Interface,
    /// Types without functions and resources: nothing has to provide them.
    Types,
    /// A function, a component, a module, a value, or a resource by itself.
    Other,
}

impl Graph {
    pub(super) fn new() -> Self {
        Self {
            graph: CompositionGraph::new(),
            names: HashMap::new(),
        }
    }

    /// Adds an instance of a component; `what` is what people call it.
    pub(super) fn add(&mut self, what: &str, bytes: &[u8]) -> Result<Instance, ComposeError> {
        let refused = |reason: String| ComposeError::NoComponent {
            what: what.to_owned(),
            reason,
        };
        if bytes.starts_with(b"\0asm\x01\0\0\0") {
            return Err(refused("it is a core module".into()));
        }
        if !wasmparser::Parser::is_component(bytes) {
            return Err(refused("its first bytes are not those of one".into()));
        }
        let name = format!("midplane:part-{}", self.names.len());
        let package = Package::from_bytes(&name, None, bytes, self.graph.types_mut())
            .map_err(|error| refused(chain(&error)))?;
        let package = self
            .graph
            .register_package(package)
            .map_err(|error| ComposeError::Unsupported {
                reason: error.to_string(),
            })?;
        let node = self.graph.instantiate(package);
        self.names.insert(node, what.to_owned());
        Ok(Instance { package, node })
    }

    /// What the component of `instance` imports, in order.
    pub(super) fn imports(&self, instance: &Instance) -> Vec<Extern> {
        let world = self.graph[instance.package].ty();
        self.externs(&self.graph.types()[world].imports)
    }

    fn exports(&self, instance: &Instance) -> Vec<Extern> {
        let world = self.graph[instance.package].ty();
        self.externs(&self.graph.types()[world].exports)
    }

    fn externs<'a>(&self, items: impl IntoIterator<Item = (&'a String, &'a ItemKind)>) -> Vec<Extern> {
        items
            .into_iter()
            .map(|(name, kind)| Extern {
                name: name.clone(),
                shape: self.shape(*kind),
            })
            .collect()
    }

    fn shape(&self, kind: ItemKind) -> Shape {
        let types = self.graph.types();
        match kind {
            ItemKind::Instance(id) => {
                let is_passive = types[id].exports.values().all(|export| match export {
                    // A resource of another interface is that interface's affair.
                    ItemKind::Type(Type::Resource(id)) => types[*id].alias.is_some(),
                    ItemKind::Type(_) => true,
                    _ => false,
                });
                if is_passive {
                    Shape::Types
                } else {
                    Shape::Interface
                }
            }
            ItemKind::Type(Type::Resource(id)) if types[id].alias.is_none() => Shape::Other,
            ItemKind::Type(_) => Shape::Types,
            _ => Shape::Other,
        }
    }

    /// The export of `instance` that serves `import`: the one that is asked for, or the one of that name, or the newest that
    /// is compatible with it.
    pub(super) fn find_export(
        &self,
        instance: &Instance,
        wanted: Option<&str>,
        import: &str,
    ) -> Result<String, ComposeError> {
        let exports = self.exports(instance);
        let name = wanted.unwrap_or(import);
        let found = exports.iter().find(|export| export.name == name).or_else(|| {
            let name = InterfaceName::parse(name).ok()?;
            exports
                .iter()
                .filter_map(|export| Some((InterfaceName::parse(&export.name).ok()?, export)))
                .filter(|(export, _)| export.serves(&name))
                .max_by(|(one, _), (other, _)| one.version().cmp(&other.version()))
                .map(|(_, export)| export)
        });
        found
            .map(|export| export.name.clone())
            .ok_or_else(|| ComposeError::NoExport {
                what: self.name(instance),
                export: name.to_owned(),
                exports: exports.into_iter().map(|export| export.name).collect(),
            })
    }

    /// Lets an export of one instance serve an import of another.
    pub(super) fn connect(
        &mut self,
        provider: &Instance,
        export: &str,
        consumer: &Instance,
        import: &str,
    ) -> Result<(), ComposeError> {
        let alias = self
            .graph
            .alias_instance_export(provider.node, export)
            .map_err(|_| ComposeError::NoExport {
                what: self.name(provider),
                export: export.to_owned(),
                exports: self
                    .exports(provider)
                    .into_iter()
                    .map(|export| export.name)
                    .collect(),
            })?;
        let connected = self
            .graph
            .set_instantiation_argument(consumer.node, import, alias);
        connected.map_err(|error| match error {
            InstantiationArgumentError::ArgumentTypeMismatch { source, .. } => ComposeError::Mismatch {
                provider: self.name(provider),
                consumer: self.name(consumer),
                import: import.to_owned(),
                reason: chain(&source),
            },
            InstantiationArgumentError::InvalidArgumentName { .. } => ComposeError::NoSuchImport {
                what: self.name(consumer),
                import: import.to_owned(),
                imports: self
                    .imports(consumer)
                    .into_iter()
                    .map(|import| import.name)
                    .collect(),
            },
            InstantiationArgumentError::ArgumentAlreadyPassed { .. } => ComposeError::LinkedTwice {
                what: self.name(consumer),
                import: import.to_owned(),
            },
            error @ InstantiationArgumentError::NodeIsNotAnInstantiation { .. } => {
                ComposeError::Unsupported {
                    reason: error.to_string(),
                }
            }
        })
    }

    /// Lets the whole export what `instance` does.
    pub(super) fn export_all(&mut self, instance: &Instance) -> Result<(), ComposeError> {
        for Extern { name, .. } in self.exports(instance) {
            let unsupported = |reason: String| ComposeError::Unsupported { reason };
            let alias = self
                .graph
                .alias_instance_export(instance.node, &name)
                .map_err(|error| unsupported(error.to_string()))?;
            self.graph
                .export(alias, &name)
                .map_err(|error| unsupported(error.to_string()))?;
        }
        Ok(())
    }

    /// The component, validated.
    pub(super) fn finish(self) -> Result<Vec<u8>, ComposeError> {
        self.graph
            .encode(EncodeOptions::default())
            .map_err(|error| match error {
                EncodeError::ImportTypeMergeConflict { import, source, .. } => ComposeError::Imports {
                    import,
                    reason: chain(&source),
                },
                EncodeError::ValidationFailure { source } => ComposeError::Invalid {
                    reason: source.to_string(),
                },
                error @ (EncodeError::GraphContainsCycle { .. }
                | EncodeError::ImplicitImportConflict { .. }) => ComposeError::Unsupported {
                    reason: error.to_string(),
                },
            })
    }

    fn name(&self, instance: &Instance) -> String {
        self.names.get(&instance.node).cloned().unwrap_or_default()
    }
}

/// The whole chain of an error in one line.
fn chain(error: &impl fmt::Display) -> String {
    format!("{error:#}")
}
