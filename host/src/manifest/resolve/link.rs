//! `[component.<id>.tool.midplane.links]`: interfaces named once, services that exist, times within bounds.

use std::collections::BTreeMap;
use std::time::Duration;

use toml::Spanned;

use super::{Resolver, invalid};
use crate::manifest::app::{LinkDeclaration, MAX_LINK_TIMEOUT};
use crate::manifest::error::{printable, shorten};
use crate::manifest::raw;
use crate::manifest::read::{Entries, Result};
use crate::model::quantity::parse_duration;
use crate::model::{DependencyName, InterfaceName, InterfaceNameError, ServiceName, Track};

impl Resolver<'_> {
    /// The links of `caller`.
    pub(super) fn links(
        &self,
        caller: &ServiceName,
        raw: Entries<raw::Link>,
    ) -> Result<BTreeMap<InterfaceName, LinkDeclaration>> {
        let interfaces: Vec<InterfaceName> = raw
            .0
            .iter()
            .map(|(key, _)| interface(key))
            .collect::<Result<_>>()?;
        let mut seen: BTreeMap<(&str, &str, Option<Track<'_>>), &Spanned<String>> = BTreeMap::new();
        for (interface, (key, _)) in interfaces.iter().zip(&raw.0) {
            let track = interface.version().map(Track::of);
            let earlier = seen.insert((interface.package(), interface.interface(), track), key);
            if let Some(earlier) = earlier {
                let reason = format!(
                    "line {} has {:?}: both are versions of one interface that the same export can serve, so they \
                     contradict each other",
                    self.source.location(&earlier.span()).line,
                    shorten(earlier.get_ref())
                );
                return invalid(
                    what(key),
                    reason,
                    Some("keep the one that the component imports"),
                    key.span(),
                );
            }
        }
        let mut links = BTreeMap::new();
        for (interface, (key, link)) in interfaces.into_iter().zip(raw.0) {
            let declaration = LinkDeclaration {
                service: self.other(&link.service, caller, "the link", &key)?,
                timeout: link.timeout.as_ref().map(timeout).transpose()?,
                concurrency: link.concurrency,
                location: self.source.location(&key.span()),
            };
            links.insert(interface, declaration);
        }
        Ok(links)
    }
}

fn what(key: &Spanned<String>) -> String {
    format!("the link {:?}", shorten(key.get_ref()))
}

fn interface(key: &Spanned<String>) -> Result<InterfaceName> {
    InterfaceName::parse(key.get_ref()).or_else(|error| {
        let hint = match (&error, DependencyName::parse(key.get_ref())) {
            (InterfaceNameError::Shape, Ok(DependencyName::Package { package, version })) => {
                let version = version.map(|version| format!("@{version}")).unwrap_or_default();
                format!("a link is for one interface: write `\"{package}/<interface>{version}\"`")
            }
            _ => "write the name of an import: `\"shop:catalog/products@1.0.0\" = \"catalog\"`".to_owned(),
        };
        invalid(what(key), printable(&error.to_string()), Some(&hint), key.span())
    })
}

fn timeout(text: &Spanned<String>) -> Result<Duration> {
    let reason = match parse_duration(text.get_ref()) {
        Ok(Duration::ZERO) => "no call ends in no time".to_owned(),
        Ok(time) if time > MAX_LINK_TIMEOUT => "it is longer than an hour".to_owned(),
        Ok(time) => return Ok(time),
        Err(error) => error.to_string(),
    };
    let hint = "a time is written as in `\"500ms\"` or `\"5s\"`, at most `\"1h\"`";
    invalid(
        format!("the timeout {:?}", shorten(text.get_ref())),
        reason,
        Some(hint),
        text.span(),
    )
}
