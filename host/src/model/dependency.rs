//! The key of a dependency: which imports of a component another component is composed into it for.
//!
//! Spin's three forms: a package (`shop:catalog@1.0.0`), an interface (`shop:catalog/products@1.0.0`), or an import without a
//! package (`my-import`). A key without a version stands for every version.

use std::fmt;

use semver::Version;

use super::interface::{
    InterfaceName, InterfaceNameError, MAX_INTERFACE_BYTES, Track, check_package, split_version,
};
use super::name::{NameError, ServiceName};

/// What a dependency satisfies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DependencyName {
    /// Every interface of a package.
    Package {
        /// `namespace:package`.
        package: String,
        /// The version that the importer asks for; without one, whichever.
        version: Option<Version>,
    },
    /// One interface; without a version, in whichever.
    Interface(InterfaceName),
    /// An import that belongs to no package, in kebab-case.
    Plain(String),
}

/// A text is no key of a dependency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DependencyNameError {
    /// It has none of the three forms.
    #[error(
        "a dependency is named by a package (`shop:catalog@1.0.0`), an interface \
         (`shop:catalog/products@1.0.0`) or a plain import (`my-import`)"
    )]
    Shape,
    /// A part of the package, the interface or the version is wrong.
    #[error(transparent)]
    Interface(InterfaceNameError),
    /// The plain name is wrong.
    #[error(transparent)]
    Plain(NameError),
}

impl DependencyName {
    /// Reads a key.
    ///
    /// # Errors
    /// [`DependencyNameError`] says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, DependencyNameError> {
        let refused = |error| match error {
            InterfaceNameError::Shape => DependencyNameError::Shape,
            other => DependencyNameError::Interface(other),
        };
        if text.contains('/') {
            return InterfaceName::parse(text).map(Self::Interface).map_err(refused);
        }
        if !text.contains([':', '@']) {
            // Spin has one rule for both.
            return match ServiceName::parse(text) {
                Ok(_) => Ok(Self::Plain(text.to_owned())),
                Err(error) => Err(DependencyNameError::Plain(error)),
            };
        }
        if text.len() > MAX_INTERFACE_BYTES {
            return Err(refused(InterfaceNameError::TooLong));
        }
        let (package, version) = split_version(text).map_err(refused)?;
        check_package(package).map_err(refused)?;
        Ok(Self::Package {
            package: package.to_owned(),
            version,
        })
    }

    /// `namespace:package`, unless this is a plain name.
    #[must_use]
    pub fn package(&self) -> Option<&str> {
        match self {
            Self::Package { package, .. } => Some(package),
            Self::Interface(interface) => Some(interface.package()),
            Self::Plain(_) => None,
        }
    }

    /// The version of the package, if there is one.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        match self {
            Self::Package { version, .. } => version.as_ref(),
            Self::Interface(interface) => interface.version(),
            Self::Plain(_) => None,
        }
    }

    /// Whether the dependency is there to satisfy `import`: the package or interface is the same, and so is the track of the
    /// version. Whether the component then serves that very version is a question of what it exports.
    #[must_use]
    pub fn covers(&self, import: &InterfaceName) -> bool {
        let is_same = match self {
            Self::Package { package, .. } => package == import.package(),
            Self::Interface(interface) => interface.is_same_interface(import),
            Self::Plain(_) => false,
        };
        is_same
            && match (self.version(), import.version()) {
                (None, _) => true,
                (Some(own), Some(wanted)) => Track::of(own) == Track::of(wanted),
                (Some(_), None) => false,
            }
    }
}

impl fmt::Display for DependencyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { package, version } => {
                f.write_str(package)?;
                version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
            }
            Self::Interface(interface) => interface.fmt(f),
            Self::Plain(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> DependencyName {
        DependencyName::parse(text).unwrap()
    }

    #[test]
    fn a_key_is_a_package_an_interface_or_a_plain_name() {
        for (text, package) in [
            ("shop:catalog@1.0.0", Some("shop:catalog")),
            ("shop:catalog", Some("shop:catalog")),
            ("shop:catalog/products@1.0.0", Some("shop:catalog")),
            ("shop:catalog/products", Some("shop:catalog")),
            ("my-import", None),
        ] {
            assert_eq!(name(text).to_string(), text);
            assert_eq!(name(text).package(), package);
            assert_eq!(name(text).version().is_some(), text.contains('@'));
        }
        assert!(matches!(name("a:b"), DependencyName::Package { .. }));
        assert!(matches!(name("a:b/c"), DependencyName::Interface(_)));
        assert!(matches!(name("a-b"), DependencyName::Plain(_)));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for text in ["catalog@1.0.0", "a/b", "/", "@"] {
            assert!(
                !matches!(
                    DependencyName::parse(text),
                    Ok(_) | Err(DependencyNameError::Plain(_))
                ),
                "{text}"
            );
        }
        assert_eq!(DependencyName::parse("a@1.0.0"), Err(DependencyNameError::Shape));
        assert!(matches!(
            DependencyName::parse("my_import"),
            Err(DependencyNameError::Plain(NameError::Separator { .. }))
        ));
        let word = InterfaceNameError::Word("B".into());
        assert_eq!(
            DependencyName::parse("a:B@1.0.0"),
            Err(DependencyNameError::Interface(word))
        );
        let version = InterfaceNameError::Version {
            version: "1.0".into(),
        };
        assert_eq!(
            DependencyName::parse("a:b@1.0"),
            Err(DependencyNameError::Interface(version))
        );
        assert_eq!(
            DependencyName::parse(&format!("a:{}", "b".repeat(300))),
            Err(DependencyNameError::Interface(InterfaceNameError::TooLong))
        );
    }

    #[test]
    fn a_key_covers_the_imports_of_its_package_or_interface_in_its_track() {
        let covers = |key: &str, import: &str| name(key).covers(&InterfaceName::parse(import).unwrap());
        for (key, import) in [
            ("a:b@1.0.0", "a:b/c@1.0.0"),
            ("a:b@1.0.0", "a:b/d@1.2.0"),
            ("a:b@1.2.0", "a:b/c@1.0.0"),
            ("a:b", "a:b/c@2.0.0"),
            ("a:b", "a:b/c"),
            ("a:b/c@0.2.0", "a:b/c@0.2.3"),
            ("a:b/c", "a:b/c@2.0.0"),
        ] {
            assert!(covers(key, import), "{key} {import}");
        }
        for (key, import) in [
            ("a:b@1.0.0", "a:b/c@2.0.0"),
            ("a:b@1.0.0", "a:b/c"),
            ("a:b@1.0.0", "a:bb/c@1.0.0"),
            ("a:b/c@1.0.0", "a:b/d@1.0.0"),
            ("a:b/c@0.2.0", "a:b/c@0.3.0"),
            ("a:b@1.0.0-rc.1", "a:b/c@1.0.0"),
            ("c", "a:b/c"),
        ] {
            assert!(!covers(key, import), "{key} {import}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_shown_as_it_was_written(
            text in prop_oneof![
                "[a-z:/@0-9.-]{0,24}",
                "[a-z]{1,3}:[a-z]{1,3}(/[a-z]{1,3})?(@[0-9]\\.[0-9]\\.[0-9])?",
            ],
        ) {
            if let Ok(name) = DependencyName::parse(&text) {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }
}
