//! Where the data of an app lies below the state directory. Pure: nothing here touches a disk.
//!
//! `<state-dir>/data/<app>/<service>/<sqlite|key-value>/<label>.db`, with `_shared` for the service where a label
//! belongs to the whole app. Distinct owners never meet in one path, whatever their names contain.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Who shares the data of a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope<'a> {
    /// The whole app, as in Spin.
    App,
    /// The named service alone.
    Service(&'a str),
}

/// What kind of data it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A database of the SQLite capability.
    Sqlite,
    /// A store of the key-value capability.
    KeyValue,
}

/// The file of one data label.
pub fn location(state_dir: &Path, app: &str, scope: Scope<'_>, kind: Kind, label: &str) -> PathBuf {
    let owner = match scope {
        Scope::App => "_shared".to_owned(),
        Scope::Service(name) => segment(name),
    };
    let kind = match kind {
        Kind::Sqlite => "sqlite",
        Kind::KeyValue => "key-value",
    };
    let mut path = state_dir.join("data");
    path.push(segment(app));
    path.push(owner);
    path.push(kind);
    path.push(format!("{}.db", segment(label)));
    path
}

/// `name` as one path segment: letters, digits, `-`, `_` and `.` stay, the rest is percent-encoded, and so is a
/// leading `_` or `.`, so that no name is hidden, climbs up, or reads as `_shared`.
fn segment(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned(); // Cannot come from any other name.
    }
    let mut encoded = String::with_capacity(name.len());
    for (index, byte) in name.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || byte == b'-' || (index > 0 && matches!(byte, b'_' | b'.'));
        if plain {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(app: &str, scope: Scope<'_>, kind: Kind, label: &str) -> String {
        location(Path::new("/state"), app, scope, kind, label)
            .to_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn data_lies_by_app_service_kind_and_label() {
        assert_eq!(
            of("shop", Scope::Service("catalog"), Kind::Sqlite, "default"),
            "/state/data/shop/catalog/sqlite/default.db"
        );
        assert_eq!(
            of("shop", Scope::App, Kind::KeyValue, "default"),
            "/state/data/shop/_shared/key-value/default.db"
        );
    }

    #[test]
    fn no_name_leaves_its_directory_or_meets_another() {
        let names = [
            "..",
            ".",
            "a/b",
            "a%2Fb",
            "_shared",
            "shared",
            "%5Fshared",
            "",
            "a\0b",
            "é",
            "A b",
        ];
        let mut seen = std::collections::BTreeSet::new();
        for name in names {
            let path = of("shop", Scope::Service(name), Kind::Sqlite, "x");
            assert_eq!(path.split('/').count(), 7, "{name:?} makes {path}");
            assert!(
                path.bytes().all(|byte| byte.is_ascii_graphic()),
                "{name:?} makes {path}"
            );
            assert!(
                !path.contains("/../") && !path.contains("/./") && !path.contains("//"),
                "{path}"
            );
            assert!(seen.insert(path), "{name:?} meets another");
        }
        assert!(!seen.contains(&of("shop", Scope::App, Kind::Sqlite, "x")));
    }
}
