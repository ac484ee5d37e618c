//! A dependency: what is composed into a component, and for which of its imports.

use crate::model::{DependencyName, Inherit, InterfaceName};

/// A dependency of a component.
#[derive(Debug, Clone)]
pub struct Part {
    /// Which imports of the component it is for.
    pub name: DependencyName,
    /// The component that serves them.
    pub bytes: Vec<u8>,
    /// The export of it that serves, if not the one of equal name.
    pub export: Option<String>,
    /// What of the main component's configuration it may use.
    pub inherit: Inherit,
}

/// Whether a dependency of that name is for the import of that name.
pub(super) fn covers(name: &DependencyName, import: &str) -> bool {
    match name {
        DependencyName::Plain(name) => name == import,
        name => InterfaceName::parse(import).is_ok_and(|import| name.covers(&import)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DependencyName {
        DependencyName::parse(text).unwrap()
    }

    #[test]
    fn a_package_covers_its_interfaces_of_compatible_versions() {
        let catalog = name("shop:catalog@1.0.0");
        for import in [
            "shop:catalog/products@1.0.0",
            "shop:catalog/inventory@1.0.0",
            "shop:catalog/products@1.2.0",
        ] {
            assert!(covers(&catalog, import), "{import}");
        }
        for import in [
            "shop:catalog/products@2.0.0",
            "shop:catalog/products",
            "shop:catalogue/products@1.0.0",
            "products",
        ] {
            assert!(!covers(&catalog, import), "{import}");
        }
        assert!(covers(&name("shop:catalog"), "shop:catalog/products@2.0.0"));
        assert!(covers(&name("shop:catalog"), "shop:catalog/products"));
    }

    #[test]
    fn an_interface_covers_itself_and_a_plain_name_is_taken_as_it_is() {
        let products = name("shop:catalog/products@1.0.0");
        assert!(covers(&products, "shop:catalog/products@1.1.0"));
        assert!(!covers(&products, "shop:catalog/inventory@1.0.0"));
        assert!(!covers(&products, "shop:catalog/products@2.0.0"));
        assert!(covers(&name("products"), "products"));
        assert!(!covers(&name("products"), "shop:catalog/products@1.0.0"));
    }
}
