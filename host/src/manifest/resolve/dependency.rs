//! `[component.<id>.dependencies]`: keys that do not overlap, one source each, what is inherited. The rules are
//! Spin's.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use url::Url;

use super::cycle::Edge;
use super::{Resolver, invalid};
use crate::manifest::app::{Dependency, DependencySource};
use crate::manifest::error::{list, printable, shorten};
use crate::manifest::nearest::nearest;
use crate::manifest::raw;
use crate::manifest::read::{Entries, Result};
use crate::model::{DependencyName, Digest, Inherit, Inheritable, ServiceName, Track};

type Key = Spanned<String>;

impl Resolver<'_> {
    /// The dependencies of `user`. Those on other services go into `edges` too.
    pub(super) fn dependencies(
        &self,
        user: &ServiceName,
        raw: Entries<Spanned<raw::Dependency>>,
        inherits: Option<&Spanned<bool>>,
        edges: &mut Vec<Edge>,
    ) -> Result<Vec<Dependency>> {
        let names: Vec<DependencyName> = raw.0.iter().map(|(key, _)| name(key)).collect::<Result<_>>()?;
        let keys = raw.0.iter().map(|(key, _)| key);
        self.refuse_overlaps(&names.iter().zip(keys).collect::<Vec<_>>())?;
        let everything = inherits.filter(|inherits| *inherits.get_ref());
        let resolve = |(name, (key, raw)): (DependencyName, (Key, Spanned<raw::Dependency>))| {
            let span = raw.span();
            let raw = raw.into_inner();
            let inherit = self.inherit(raw.inherit_configuration.as_ref(), everything)?;
            let export = raw.export.as_ref().map(|text| export(&name, text)).transpose()?;
            let source = self.dependency_source(user, &key, raw, span)?;
            if let (source, DependencySource::Component(to)) = &source {
                edges.push(Edge {
                    from: user.clone(),
                    to: to.clone(),
                    span: source.clone(),
                });
            }
            Ok(Dependency {
                name,
                source: source.1,
                export,
                inherit,
                location: self.source.location(&key.span()),
            })
        };
        names.into_iter().zip(raw.0).map(resolve).collect()
    }

    /// No import may belong to two dependencies, and a package comes from one component.
    fn refuse_overlaps(&self, keys: &[(&DependencyName, &Key)]) -> Result<()> {
        type Tracks<'k> = BTreeMap<Option<Track<'k>>, (&'k DependencyName, &'k Key)>;
        let mut packages: BTreeMap<&str, Tracks<'_>> = BTreeMap::new();
        for (name, key) in keys {
            let Some(package) = name.package() else { continue };
            let tracks = packages.entry(package).or_default();
            let track = name.version().map(Track::of);
            // A key without a version stands for all versions.
            let earlier = match &track {
                None => tracks.values().next(),
                Some(_) => tracks.get(&track).or_else(|| tracks.get(&None)),
            };
            if let Some((earlier, written)) = earlier {
                let line = self.source.location(&written.span()).line;
                let (reason, hint) = overlap(name, earlier);
                let reason = format!("line {line} has {:?}: {reason}", shorten(written.get_ref()));
                return invalid(what(key), reason, Some(&hint), key.span());
            }
            tracks.insert(track, (name, key));
        }
        Ok(())
    }

    /// Where the component is, and the place that says so.
    fn dependency_source(
        &self,
        user: &ServiceName,
        key: &Key,
        raw: raw::Dependency,
        span: Range<usize>,
    ) -> Result<(Range<usize>, DependencySource)> {
        const ONE: &str =
            "write `path = \"…\"`, `component = \"…\"`, or `url = \"…\"` and `digest = \"sha256:…\"`";
        let source = match (raw.path, raw.url, raw.component) {
            (Some(path), None, None) => (path.span(), self.path(user, &path)?),
            (None, Some(url), None) => {
                let Some(digest) = raw.digest else {
                    let hint = "write `digest = \"sha256:…\"`; `sha256sum FILE` prints the digits";
                    let reason = "it has no `digest`, so nothing says which bytes are meant";
                    return invalid(
                        format!("the URL {:?}", shorten(url.get_ref())),
                        reason,
                        Some(hint),
                        url.span(),
                    );
                };
                let digest = self::digest(&digest)?;
                let parsed = self::url(&url)?;
                return Ok((url.span(), DependencySource::Url { url: parsed, digest }));
            }
            (None, None, Some(component)) => {
                let service = self.other(&component, user, "the dependency", key)?;
                (component.span(), DependencySource::Component(service))
            }
            (None, None, None) => {
                return invalid(
                    what(key),
                    "it does not say where its component is",
                    Some(ONE),
                    span,
                );
            }
            _ => return invalid(what(key), "it has more than one source", Some(ONE), span),
        };
        match raw.digest {
            Some(digest) => invalid(
                what(key),
                "a `digest` belongs to a `url`, and it has none",
                Some("remove the `digest`"),
                digest.span(),
            ),
            None => Ok(source),
        }
    }

    fn path(&self, user: &ServiceName, path: &Spanned<String>) -> Result<DependencySource> {
        let hint = "write the path of the component that exports what this one imports";
        let what = || format!("the path {:?}", shorten(path.get_ref()));
        if path.get_ref().is_empty() {
            return invalid(what(), "it is empty", Some(hint), path.span());
        }
        if path.get_ref().contains('\0') {
            return invalid(what(), "it has a NUL in it", Some(hint), path.span());
        }
        let absolute = self.dir.join(path.get_ref());
        if self
            .services
            .get(user)
            .is_some_and(|service| service.source == absolute)
        {
            let reason = format!("it is the source of `{user}` itself");
            return invalid(what(), reason, Some(hint), path.span());
        }
        Ok(DependencySource::Path(absolute))
    }

    fn inherit(
        &self,
        own: Option<&Spanned<raw::Inherit>>,
        everything: Option<&Spanned<bool>>,
    ) -> Result<Inherit> {
        let Some(own) = own else {
            return Ok(everything.map_or(Inherit::Nothing, |_| Inherit::All));
        };
        if let Some(everything) = everything {
            let line = self.source.location(&everything.span()).line;
            let reason = format!(
                "`dependencies_inherit_configuration` on line {line} lets every dependency inherit everything"
            );
            return invalid(
                "`inherit_configuration`",
                reason,
                Some("keep one of the two"),
                own.span(),
            );
        }
        match own.get_ref() {
            raw::Inherit::Everything(true) => Ok(Inherit::All),
            raw::Inherit::Everything(false) => Ok(Inherit::Nothing),
            raw::Inherit::Parts(parts) if parts.is_empty() => Ok(Inherit::Nothing),
            raw::Inherit::Parts(parts) => Ok(Inherit::Some(parts.iter().map(part).collect::<Result<_>>()?)),
        }
    }
}

fn what(key: &Key) -> String {
    format!("the dependency {:?}", shorten(key.get_ref()))
}

fn name(key: &Key) -> Result<DependencyName> {
    DependencyName::parse(key.get_ref()).or_else(|error| {
        let hint = "write what the component imports: `\"shop:catalog@1.0.0\" = { path = \"…\" }`";
        invalid(what(key), printable(&error.to_string()), Some(hint), key.span())
    })
}

/// Why two keys of one package, in versions of one track, cannot stand beside each other, and what to write.
fn overlap(name: &DependencyName, earlier: &DependencyName) -> (&'static str, String) {
    const ONE: &str = "keep one of the two";
    match (name, earlier) {
        (DependencyName::Interface(one), DependencyName::Interface(other))
            if one.is_same_interface(other) =>
        {
            ("both stand for the same interface", ONE.to_owned())
        }
        (DependencyName::Interface(one), DependencyName::Interface(other)) => {
            let package = DependencyName::Package {
                package: one.package().to_owned(),
                version: one.version().filter(|_| other.version().is_some()).cloned(),
            };
            (
                "the interfaces of one package come from one dependency",
                format!("write one key for the whole package: `\"{package}\"`"),
            )
        }
        (DependencyName::Package { .. }, DependencyName::Package { .. }) => {
            ("both stand for the same package", ONE.to_owned())
        }
        _ => ("the package as a whole includes the interface", ONE.to_owned()),
    }
}

/// The name of an export: an interface or a plain name.
fn export(dependency: &DependencyName, text: &Spanned<String>) -> Result<String> {
    let what = format!("the export {:?}", shorten(text.get_ref()));
    if let DependencyName::Package { package, version } = dependency {
        let version = version
            .as_ref()
            .map(|version| format!("@{version}"))
            .unwrap_or_default();
        let hint =
            format!("remove `export`, or name one interface: `\"{package}/<interface>{version}\" = {{ … }}`");
        let reason = "no single export can stand for a whole package";
        return invalid(what, reason, Some(&hint), text.span());
    }
    let reason = match DependencyName::parse(text.get_ref()) {
        Ok(DependencyName::Interface(_) | DependencyName::Plain(_)) => return Ok(text.get_ref().clone()),
        Ok(DependencyName::Package { .. }) => {
            "it names a package, which nothing exports as a whole".to_owned()
        }
        Err(error) => printable(&error.to_string()),
    };
    let hint = "write the name of an export: `shop:catalog/products@1.0.0`, or a plain `products`";
    invalid(what, reason, Some(hint), text.span())
}

fn part(text: &Spanned<String>) -> Result<Inheritable> {
    if let Some(part) = Inheritable::ALL
        .into_iter()
        .find(|part| part.as_str() == text.get_ref())
    {
        return Ok(part);
    }
    let known = Inheritable::ALL.map(Inheritable::as_str);
    let hint = match nearest(text.get_ref(), known.into_iter()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("what can be inherited: {}", list(&known)),
    };
    let what = format!("`inherit_configuration` with {:?}", shorten(text.get_ref()));
    invalid(
        what,
        "nothing of that name can be inherited",
        Some(&hint),
        text.span(),
    )
}

fn url(text: &Spanned<String>) -> Result<Url> {
    match Url::parse(text.get_ref()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => invalid(
            format!("the URL {:?}", shorten(text.get_ref())),
            "it is no complete URL with `http` or `https`",
            Some("write it as in `https://example.com/catalog.wasm`"),
            text.span(),
        ),
    }
}

/// `sha256:` and 64 hexadecimal digits.
fn digest(text: &Spanned<String>) -> Result<Digest> {
    let parsed = text.get_ref().strip_prefix("sha256:").and_then(Digest::from_hex);
    parsed.map_or_else(
        || {
            invalid(
                format!("the digest {:?}", shorten(text.get_ref())),
                "it is not `sha256:` and 64 hexadecimal digits",
                Some("`sha256sum FILE` prints the digits"),
                text.span(),
            )
        },
        Ok,
    )
}
