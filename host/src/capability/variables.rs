//! Variables: the app's configuration, as much of it as the manifest hands to this service.
//!
//! Values are resolved when the revision is prepared; a value that no provider has is an error then, not at the first
//! request. What a guest asks for beyond its own names does not exist for it.

use std::collections::BTreeMap;

use wasmtime::component::{Accessor, HasData};

use crate::bindings::{fermyon, spin};
use crate::model::Secret;

type Error2 = fermyon::spin::variables::Error;
type Error3 = spin::variables::variables::Error;

/// The variables of one service.
#[derive(Default)]
pub struct Variables(BTreeMap<String, Secret>);

impl Variables {
    /// From resolved values by name.
    pub fn new(values: BTreeMap<String, Secret>) -> Self {
        Self(values)
    }

    fn get(&self, name: &str) -> Result<String, Missing> {
        if !is_name(name) {
            return Err(Missing::InvalidName(format!(
                "`{name}` is not a variable's name: lower-case letters, digits and single underscores, a letter first"
            )));
        }
        match self.0.get(name) {
            Some(value) => Ok(value.expose().to_owned()),
            None => Err(Missing::Undefined(format!(
                "no variable `{name}` for this component; give it one under [component.<id>.variables] in the manifest"
            ))),
        }
    }
}

enum Missing {
    InvalidName(String),
    Undefined(String),
}

fn is_name(name: &str) -> bool {
    name.len() <= 256
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('_')
        && !name.contains("__")
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// Marks the interface in a linker.
pub struct Capability;

impl HasData for Capability {
    type Data<'a> = &'a Variables;
}

impl fermyon::spin::variables::Host for &Variables {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<String, Error2>> {
        Ok(Variables::get(self, &name).map_err(|missing| match missing {
            Missing::InvalidName(text) => Error2::InvalidName(text),
            Missing::Undefined(text) => Error2::Undefined(text),
        }))
    }
}

impl spin::variables::variables::Host for &Variables {}

impl<T: Send> spin::variables::variables::HostWithStore<T> for Capability {
    async fn get(accessor: &Accessor<T, Self>, name: String) -> wasmtime::Result<Result<String, Error3>> {
        Ok(accessor
            .with(|mut access| access.get().get(&name))
            .map_err(|missing| match missing {
                Missing::InvalidName(text) => Error3::InvalidName(text),
                Missing::Undefined(text) => Error3::Undefined(text),
            }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> Variables {
        Variables::new(BTreeMap::from([("api_key".to_owned(), Secret::new("s3cret"))]))
    }

    #[test]
    fn a_service_sees_its_own_variables_only() {
        assert_eq!(variables().get("api_key").ok().as_deref(), Some("s3cret"));
        assert!(
            matches!(variables().get("other"), Err(Missing::Undefined(text)) if text.contains("`other`"))
        );
    }

    #[test]
    fn names_are_checked() {
        for name in ["", "A", "1a", "a__b", "a_", "_a", "a-b", "ä"] {
            assert!(
                matches!(variables().get(name), Err(Missing::InvalidName(_))),
                "{name}"
            );
        }
    }
}
