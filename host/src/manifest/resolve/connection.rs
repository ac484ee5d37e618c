//! What services have to do with each other, once all of them are known: what a service names is there, and is
//! not the service itself.

use toml::Spanned;

use super::{Resolver, cycle, invalid};
use crate::manifest::error::{Warning, shorten};
use crate::manifest::raw;
use crate::manifest::read::Result;
use crate::model::ServiceName;

impl Resolver<'_> {
    /// Gives every service its links and dependencies.
    pub(super) fn connect(&mut self) -> Result<()> {
        let mut edges = Vec::new();
        for (name, raw) in std::mem::take(&mut self.connections) {
            let raw::Connections {
                links,
                dependencies,
                dependencies_inherit_configuration: inherits,
            } = raw;
            if let Some(inherits) = inherits.as_ref().filter(|inherits| *inherits.get_ref())
                && dependencies.0.is_empty()
            {
                self.warnings.push(Warning {
                    location: self.source.location(&inherits.span()),
                    message: format!(
                        "`dependencies_inherit_configuration` gives nothing to anybody: `{name}` has no dependencies"
                    ),
                });
            }
            let links = self.links(&name, links)?;
            let dependencies = self.dependencies(&name, dependencies, inherits.as_ref(), &mut edges)?;
            if let Some(service) = self.services.get_mut(&name) {
                service.links = links;
                service.dependencies = dependencies;
            }
        }
        cycle::refuse(&edges)
    }

    /// The service that `id` names, which is another than `by`. `what` is it named for.
    pub(super) fn other(
        &self,
        id: &Spanned<String>,
        by: &ServiceName,
        what: &str,
        name: &Spanned<String>,
    ) -> Result<ServiceName> {
        let service = self.declared(id, Some(by))?;
        if service != *by {
            return Ok(service);
        }
        let hint = format!(
            "name the one that exports `{}`; what a component itself exports it does not have to import",
            shorten(name.get_ref())
        );
        let what = format!("{what} {:?}", shorten(name.get_ref()));
        let reason = format!("it leads from `{by}` to `{by}` itself");
        invalid(what, reason, Some(&hint), id.span())
    }
}
