//! A dependency: what is composed into a component, and for which of its imports.

use std::fmt;

use semver::Version;

use crate::model::{Inherit, InterfaceName};

/// A dependency of a component.
#[derive(Debug, Clone)]
pub struct Part {
    /// Which imports of the component it is for.
    pub name: PartName,
    /// The component that serves them.
    pub bytes: Vec<u8>,
    /// The export of it that serves, if not the one of equal name.
    pub export: Option<String>,
    /// What of the main component's configuration it may use.
    pub inherit: Inherit,
}

/// The name of a dependency, which says what imports it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartName {
    /// All imports of a package, for example `shop:catalog@1.0.0`. Without a version, of any version.
    Package {
        /// `namespace:package`.
        package: String,
        /// The version, or a compatible one.
        version: Option<Version>,
    },
    /// One interface, for example `shop:catalog/products@1.0.0`. Without a version, of any version.
    Interface(InterfaceName),
    /// An import that is no interface of a package, for example `products`.
    Plain(String),
}

impl PartName {
    /// Whether this dependency is for the import of that name.
    #[must_use]
    pub fn covers(&self, import: &str) -> bool {
        let named = |wanted: &dyn Fn(&InterfaceName) -> bool| {
            InterfaceName::parse(import).is_ok_and(|import| wanted(&import))
        };
        match self {
            Self::Plain(name) => name == import,
            Self::Interface(own) => {
                named(&|import| own.is_same_interface(import) && is_compatible(own.version(), import))
            }
            Self::Package { package, version } => {
                named(&|import| import.package() == package && is_compatible(version.as_ref(), import))
            }
        }
    }
}

/// Whether an import of that version may be meant: one of the two could serve the other.
fn is_compatible(wanted: Option<&Version>, import: &InterfaceName) -> bool {
    let Some(wanted) = wanted else { return true };
    let of_wanted = format!("{}/{}@{wanted}", import.package(), import.interface());
    InterfaceName::parse(&of_wanted).is_ok_and(|named| named.serves(import) || import.serves(&named))
}

impl fmt::Display for PartName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package {
                package,
                version: Some(version),
            } => write!(f, "{package}@{version}"),
            Self::Package {
                package,
                version: None,
            } => f.write_str(package),
            Self::Interface(name) => name.fmt(f),
            Self::Plain(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(package: &str, version: Option<&str>) -> PartName {
        PartName::Package {
            package: package.into(),
            version: version.map(|version| Version::parse(version).unwrap()),
        }
    }

    #[test]
    fn a_package_covers_its_interfaces_of_compatible_versions() {
        let name = package("shop:catalog", Some("1.0.0"));
        for import in [
            "shop:catalog/products@1.0.0",
            "shop:catalog/inventory@1.0.0",
            "shop:catalog/products@1.2.0",
        ] {
            assert!(name.covers(import), "{import}");
        }
        for import in [
            "shop:catalog/products@2.0.0",
            "shop:catalog/products",
            "shop:catalogue/products@1.0.0",
            "products",
        ] {
            assert!(!name.covers(import), "{import}");
        }
        assert!(package("shop:catalog", None).covers("shop:catalog/products@2.0.0"));
        assert!(package("shop:catalog", None).covers("shop:catalog/products"));
        assert_eq!(name.to_string(), "shop:catalog@1.0.0");
    }

    #[test]
    fn an_interface_covers_itself_and_a_plain_name_is_taken_as_it_is() {
        let name = PartName::Interface(InterfaceName::parse("shop:catalog/products@1.0.0").unwrap());
        assert!(name.covers("shop:catalog/products@1.1.0"));
        assert!(!name.covers("shop:catalog/inventory@1.0.0"));
        assert!(!name.covers("shop:catalog/products@2.0.0"));
        assert!(PartName::Plain("products".into()).covers("products"));
        assert!(!PartName::Plain("products".into()).covers("shop:catalog/products@1.0.0"));
    }
}
