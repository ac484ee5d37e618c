//! The name of a WIT interface, and which version of one can stand in for another.
//!
//! `namespace:package/interface@version`, as the component model writes it. Versions follow semver: within one *track* (equal
//! major version, or equal minor version below 1.0.0, or equal patch version below 0.1.0) a newer version serves whoever asks
//! for an older one.

use std::fmt;
use std::sync::Arc;

use semver::Version;

/// The longest name that is taken, in bytes.
pub const MAX_INTERFACE_BYTES: usize = 256;

/// The name of a WIT interface, for example `shop:catalog/products@1.0.0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName {
    package: Arc<str>,
    interface: Arc<str>,
    version: Option<Version>,
}

/// A text is no name of an interface.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceNameError {
    /// It is longer than a name may be.
    #[error("it is longer than {MAX_INTERFACE_BYTES} bytes")]
    TooLong,
    /// It has not the parts that a name has.
    #[error(
        "an interface is named `namespace:package/interface@version`, for example `shop:catalog/products@1.0.0`"
    )]
    Shape,
    /// A part of it is no kebab-case word.
    #[error("`{0}` is not a word in kebab case (lower-case letters, digits and hyphens, a letter first)")]
    Word(String),
    /// What follows the `@` is no version.
    #[error("`{version}` is no version (https://semver.org)")]
    Version {
        /// What stands there.
        version: String,
    },
}

impl InterfaceName {
    /// Reads a name.
    pub fn parse(text: &str) -> Result<Self, InterfaceNameError> {
        if text.len() > MAX_INTERFACE_BYTES {
            return Err(InterfaceNameError::TooLong);
        }
        let (path, version) = split_version(text)?;
        let (package, interface) = path.split_once('/').ok_or(InterfaceNameError::Shape)?;
        check_package(package)?;
        check_word(interface)?;
        Ok(Self {
            package: package.into(),
            interface: interface.into(),
            version,
        })
    }

    /// `namespace:package`.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The interface within its package.
    #[must_use]
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The version of the package, if the name has one.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        self.version.as_ref()
    }

    /// Whether this is the same interface in whatever version.
    #[must_use]
    pub fn is_same_interface(&self, other: &Self) -> bool {
        self.package == other.package && self.interface == other.interface
    }

    /// Whether who exports this can serve who imports `wanted`: the same interface, in the same track, not older.
    #[must_use]
    pub fn serves(&self, wanted: &Self) -> bool {
        self.is_same_interface(wanted)
            && match (&self.version, &wanted.version) {
                (None, None) => true,
                (Some(own), Some(wanted)) => Track::of(own) == Track::of(wanted) && own >= wanted,
                (None, Some(_)) | (Some(_), None) => false,
            }
    }
}

/// What is before the `@`, and the version behind it if there is one.
pub(super) fn split_version(text: &str) -> Result<(&str, Option<Version>), InterfaceNameError> {
    let Some((path, version)) = text.split_once('@') else {
        return Ok((text, None));
    };
    let version = Version::parse(version).map_err(|_| InterfaceNameError::Version {
        version: version.to_owned(),
    })?;
    Ok((path, Some(version)))
}

/// Whether `package` is `namespace:package`.
pub(super) fn check_package(package: &str) -> Result<(), InterfaceNameError> {
    let (namespace, name) = package.split_once(':').ok_or(InterfaceNameError::Shape)?;
    check_word(namespace)?;
    check_word(name)
}

fn check_word(word: &str) -> Result<(), InterfaceNameError> {
    if is_word(word) {
        return Ok(());
    }
    Err(InterfaceNameError::Word(word.to_owned()))
}

/// A kebab-case word: groups of letters and digits, each of one case, that begin with a letter.
fn is_word(word: &str) -> bool {
    word.split('-').enumerate().all(|(index, group)| {
        let starts = group
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase() || (index > 0 && first.is_ascii_digit()));
        starts
            && group
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    })
}

/// What must be equal for two versions to be compatible. A pre-release is compatible with itself only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Track<'v> {
    major: u64,
    minor: Option<u64>,
    patch: Option<u64>,
    pre: &'v str,
}

impl<'v> Track<'v> {
    /// The track of `version`.
    #[must_use]
    pub fn of(version: &'v Version) -> Self {
        let pre = version.pre.as_str();
        let (minor, patch) = match (version.major, version.minor, version.patch) {
            (_, minor, patch) if !pre.is_empty() => (Some(minor), Some(patch)),
            (0, 0, patch) => (Some(0), Some(patch)),
            (0, minor, _) => (Some(minor), None),
            _ => (None, None),
        };
        Self {
            major: version.major,
            minor,
            patch,
            pre,
        }
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.package, self.interface)?;
        match &self.version {
            Some(version) => write!(f, "@{version}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InterfaceName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> InterfaceName {
        InterfaceName::parse(text).unwrap()
    }

    #[test]
    fn a_name_is_shown_as_it_is_written() {
        for text in [
            "shop:catalog/products@1.0.0",
            "a:b/c",
            "wasi:http/incoming-handler@0.2.12",
            "x-1:y2/z@0.3.0-rc-2025-09-16",
        ] {
            assert_eq!(name(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            "products",
            "shop:catalog",
            "shop/catalog",
            ":b/c",
            "a:b/",
            "A:b/c",
            "a:b/c d",
            "a:b/-c",
            "a:b/1c",
        ] {
            assert!(InterfaceName::parse(text).is_err(), "{text}");
        }
        assert_eq!(
            InterfaceName::parse("a:b/c@1"),
            Err(InterfaceNameError::Version { version: "1".into() })
        );
        assert_eq!(
            InterfaceName::parse(&"a".repeat(300)),
            Err(InterfaceNameError::TooLong)
        );
    }

    #[test]
    fn a_newer_version_of_a_track_serves_an_older_one() {
        let serves = |own: &str, wanted: &str| name(own).serves(&name(wanted));
        assert!(serves("a:b/c@1.2.0", "a:b/c@1.0.0"));
        assert!(serves("a:b/c@1.0.0", "a:b/c@1.0.0"));
        assert!(!serves("a:b/c@1.0.0", "a:b/c@1.2.0"));
        assert!(!serves("a:b/c@2.0.0", "a:b/c@1.0.0"));
        assert!(serves("a:b/c@0.2.3", "a:b/c@0.2.0"));
        assert!(!serves("a:b/c@0.3.0", "a:b/c@0.2.0"));
        assert!(!serves("a:b/c@0.0.2", "a:b/c@0.0.1"));
        assert!(!serves("a:b/c@1.0.0", "a:b/c@1.0.0-rc.1"));
        assert!(serves("a:b/c@1.0.0-rc.1", "a:b/c@1.0.0-rc.1"));
        assert!(!serves("a:b/c@1.0.0", "a:b/d@1.0.0"));
        assert!(!serves("a:b/c@1.0.0", "a:b/c"));
        assert!(serves("a:b/c", "a:b/c"));
    }
}
