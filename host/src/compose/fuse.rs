//! Services and those they link to, made into one component.
//!
//! Invariant: every component is there once, however many link to it, as one service of the app would be.

use std::collections::{BTreeMap, HashMap};

use super::error::ComposeError;
use super::graph::{Graph, Instance};
use super::guarded;

/// A link that is to become a part of the component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FusedLink {
    /// The component that imports.
    pub caller: String,
    /// What it imports.
    pub import: String,
    /// The component that serves it.
    pub callee: String,
    /// The export that serves it.
    pub export: String,
}

/// Fuses the component `root` with those that it links to, and those that they link to, into one that exports what `root`
/// does. Everything is inherited: what the components import besides becomes an import of the whole. Components that `root`
/// does not reach are left out.
///
/// # Errors
/// [`ComposeError`]: something is missing, does not fit, or the links lead in a circle.
pub fn fuse(
    root: &str,
    components: &BTreeMap<String, Vec<u8>>,
    links: &[FusedLink],
) -> Result<Vec<u8>, ComposeError> {
    guarded(|| {
        let mut fusion = Fusion {
            components,
            links,
            graph: Graph::new(),
            done: HashMap::new(),
            path: Vec::new(),
        };
        let instance = fusion.add(root)?;
        if fusion.done.len() == 1 {
            return components.get(root).cloned().ok_or_else(|| missing(root));
        }
        fusion.graph.export_all(&instance)?;
        fusion.graph.finish()
    })
}

struct Fusion<'a> {
    components: &'a BTreeMap<String, Vec<u8>>,
    links: &'a [FusedLink],
    graph: Graph,
    done: HashMap<&'a str, Instance>,
    /// The components from the root to the one that is being added.
    path: Vec<&'a str>,
}

impl<'a> Fusion<'a> {
    /// Adds a component after all that it links to. As deep as the longest way along links, which has each component once.
    fn add(&mut self, name: &str) -> Result<Instance, ComposeError> {
        let (name, bytes) = self.components.get_key_value(name).ok_or_else(|| missing(name))?;
        if let Some(instance) = self.done.get(name.as_str()) {
            return Ok(instance.clone());
        }
        if let Some(start) = self.path.iter().position(|other| other == name) {
            let circle = self.path.iter().skip(start).map(|&name| name.to_owned());
            return Err(ComposeError::Cycle {
                path: circle.chain([name.clone()]).collect(),
            });
        }
        self.path.push(name);
        let links = self.links;
        let mut callees = Vec::new();
        for link in links.iter().filter(|link| link.caller == *name) {
            callees.push((self.add(&link.callee)?, link));
        }
        self.path.pop();
        let instance = self.graph.add(&format!("the component `{name}`"), bytes)?;
        for (callee, link) in callees {
            let export = self
                .graph
                .find_export(&callee, Some(&link.export), &link.import)?;
            self.graph.connect(&callee, &export, &instance, &link.import)?;
        }
        self.done.insert(name, instance.clone());
        Ok(instance)
    }
}

fn missing(name: &str) -> ComposeError {
    ComposeError::NoSuchComponent {
        name: name.to_owned(),
    }
}
