//! The catalog's next three revisions: its sources, with few places changed, built beside it.
//!
//! What they are about is a column. A price is kept in `amount`, in minor units; it is to be kept in `exact_price`, in
//! ten-thousandths of one, so that there can be prices below a cent some day. Clients see the same at all times.
//!
//! | revision | schema | its code | revisions that it can be beside |
//! | --- | --- | --- | --- |
//! | 1, of the repository | 2 | `amount` | |
//! | 2 expands | 3: `exact_price` is there as well, and triggers keep both in step | `amount` | 1 |
//! | 3 switches | 4: an index more | `exact_price` | 2 and, as nothing was taken away, 1 |
//! | 4 contracts | 5: `amount` and the triggers are gone | `exact_price` | 3 only |

use std::fs;
use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use crate::harness::{workshop, workspace};
use crate::shop::application::repository;

/// A revision of the catalog that is yet to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Expand,
    Switch,
    Contract,
}

impl Next {
    const ALL: [Self; 3] = [Self::Expand, Self::Switch, Self::Contract];

    /// The name of its package.
    fn package(self) -> &'static str {
        match self {
            Self::Expand => "catalog-expand",
            Self::Switch => "catalog-switch",
            Self::Contract => "catalog-contract",
        }
    }

    /// Its difference from the revision before.
    fn edits(self) -> &'static [Edit] {
        match self {
            Self::Expand => EXPAND,
            Self::Switch => SWITCH,
            Self::Contract => CONTRACT,
        }
    }

    /// Its component. All three are built when the first is asked for.
    pub(super) async fn component(self) -> PathBuf {
        static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
        let built = BUILT.get_or_init(async || {
            let build = tokio::task::spawn_blocking(|| workspace(&sources()));
            build.await.expect("the components build")
        });
        let name = self.package().replace('-', "_");
        built.await.join(name).with_extension("wasm")
    }
}

/// A text that is in a file once, and what is there instead.
struct Edit {
    file: &'static str,
    from: &'static str,
    to: &'static str,
}

const SCHEMA: &str = "src/adapter/schema.rs";
const STORE: &str = "src/adapter/store.rs";
const READ: &str = "src/adapter/store/read.rs";

/// Only the schema. The column of before gets rid of its `NOT NULL` by the way, which SQLite cannot take from a column:
/// those who will not know it cannot fill it.
const EXPAND: &[Edit] = &[
    Edit {
        file: SCHEMA,
        from: "const STEPS: [Step; 2] = [",
        to: "const STEPS: [Step; 3] = [",
    },
    Edit {
        file: SCHEMA,
        from: "\n];\n\nconst TABLES: &[&str] = &[",
        to: r#"
    // expanded
    Step {
        oldest: 1,
        statements: EXPAND,
    },
];

const EXPAND: &[&str] = &[
    "ALTER TABLE catalog_products ADD COLUMN exact_price INTEGER CHECK (exact_price >= 0)",
    "DROP INDEX catalog_products_by_amount",
    "ALTER TABLE catalog_products RENAME COLUMN amount TO amount_required",
    "ALTER TABLE catalog_products ADD COLUMN amount INTEGER CHECK (amount >= 0)",
    "UPDATE catalog_products SET amount = amount_required, exact_price = amount_required * 10000",
    "ALTER TABLE catalog_products DROP COLUMN amount_required",
    "CREATE INDEX catalog_products_by_amount ON catalog_products (amount, id)",
    "CREATE TRIGGER catalog_products_added_as_before AFTER INSERT ON catalog_products
        WHEN NEW.exact_price IS NULL BEGIN
            UPDATE catalog_products SET exact_price = NEW.amount * 10000 WHERE id = NEW.id;
        END",
    "CREATE TRIGGER catalog_products_added_as_since AFTER INSERT ON catalog_products
        WHEN NEW.amount IS NULL BEGIN
            UPDATE catalog_products SET amount = NEW.exact_price / 10000 WHERE id = NEW.id;
        END",
    "CREATE TRIGGER catalog_products_priced_as_before AFTER UPDATE OF amount ON catalog_products
        WHEN NEW.amount IS NOT NEW.exact_price / 10000 BEGIN
            UPDATE catalog_products SET exact_price = NEW.amount * 10000 WHERE id = NEW.id;
        END",
    "CREATE TRIGGER catalog_products_priced_as_since AFTER UPDATE OF exact_price ON catalog_products
        WHEN NEW.amount IS NOT NEW.exact_price / 10000 BEGIN
            UPDATE catalog_products SET amount = NEW.exact_price / 10000 WHERE id = NEW.id;
        END",
];

const TABLES: &[&str] = &["#,
    },
];

/// Only the code, and the index that it wants.
const SWITCH: &[Edit] = &[
    Edit {
        file: SCHEMA,
        from: "const STEPS: [Step; 3] = [",
        to: "const STEPS: [Step; 4] = [",
    },
    Edit {
        file: SCHEMA,
        from: "    // expanded\n    Step {\n        oldest: 1,\n        statements: EXPAND,\n    },\n",
        to: r#"    Step {
        oldest: 1,
        statements: EXPAND,
    },
    // switched
    Step {
        oldest: 1,
        statements: &["CREATE INDEX catalog_products_by_exact_price ON catalog_products (exact_price, id)"],
    },
"#,
    },
    Edit {
        file: STORE,
        from: "        details.price.amount().into(),
        details.price.currency().as_str().into(),
        product.stock.on_hand.into(),",
        to: "        details.price.amount().saturating_mul(10_000).into(),
        details.price.currency().as_str().into(),
        product.stock.on_hand.into(),",
    },
    Edit {
        file: STORE,
        from: "id, sku, name, description, category, amount, currency, on_hand,",
        to: "id, sku, name, description, category, exact_price, currency, on_hand,",
    },
    Edit {
        file: STORE,
        from: "            details.price.amount().into(),
            details.price.currency().as_str().into(),
            product.updated_at",
        to: "            details.price.amount().saturating_mul(10_000).into(),
            details.price.currency().as_str().into(),
            product.updated_at",
    },
    Edit {
        file: STORE,
        from: "amount = ?6, currency = ?7",
        to: "exact_price = ?6, currency = ?7",
    },
    Edit {
        file: READ,
        from: "p.category, p.amount, p.currency",
        to: "p.category, p.exact_price / 10000, p.currency",
    },
    Edit {
        file: READ,
        from: r#"format!("p.amount >= {}", bind(amount.into()))"#,
        to: r#"format!("p.exact_price >= {}", bind(amount.saturating_mul(10_000).into()))"#,
    },
    Edit {
        file: READ,
        from: r#"format!("p.amount <= {}", bind(amount.into()))"#,
        to: r#"format!("p.exact_price <= {}", bind(amount.saturating_mul(10_000).into()))"#,
    },
    Edit {
        file: READ,
        from: r#"Sort::Price => "p.amount","#,
        to: r#"Sort::Price => "p.exact_price","#,
    },
    Edit {
        file: READ,
        from: "Key::Price(amount) => (*amount).into(),",
        to: "Key::Price(amount) => amount.saturating_mul(10_000).into(),",
    },
];

/// Only the schema. Who knows version 4, which is the one that switched, goes on; who knows less does not.
const CONTRACT: &[Edit] = &[
    Edit {
        file: SCHEMA,
        from: "const STEPS: [Step; 4] = [",
        to: "const STEPS: [Step; 5] = [",
    },
    Edit {
        file: SCHEMA,
        from: "\n];\n\nconst EXPAND: &[&str] = &[",
        to: r#"
    Step {
        oldest: 4,
        statements: &[
            "DROP TRIGGER catalog_products_added_as_before",
            "DROP TRIGGER catalog_products_added_as_since",
            "DROP TRIGGER catalog_products_priced_as_before",
            "DROP TRIGGER catalog_products_priced_as_since",
            "DROP INDEX catalog_products_by_amount",
            "ALTER TABLE catalog_products DROP COLUMN amount",
        ],
    },
];

const EXPAND: &[&str] = &["#,
    },
];

/// Lays the sources out as a workspace with a package for each revision, and returns its folder. What they depend on
/// stays where it is.
fn sources() -> PathBuf {
    let folder = workshop("catalog");
    let components = repository().join("components");
    let mut source = Source::read(&components.join("catalog"));
    for next in Next::ALL {
        for edit in next.edits() {
            source.edit(edit);
        }
        source.write(&folder.join(next.package()), next.package(), &repository());
    }

    let text = fs::read_to_string(components.join("Cargo.toml")).expect("the components are a workspace");
    let packages = Next::ALL.map(Next::package);
    let members = text
        .lines()
        .find(|line| line.starts_with("members = "))
        .expect("it lists its members");
    let mut text = text.replace(members, &format!("members = {packages:?}"));
    for dependency in ["catalog/domain", "rest"] {
        let from = format!("path = {dependency:?}");
        text = once(&text, &from, &format!("path = {:?}", components.join(dependency)));
    }
    // Quick to build: the same code otherwise.
    text = once(
        &text,
        "lto = true\ncodegen-units = 1\n",
        "lto = false\ncodegen-units = 16\n",
    );
    put(&folder.join("Cargo.toml"), &text);

    // The same dependencies, to the version: a lock file with each package that is new, and no more than it needs.
    let lock = fs::read_to_string(components.join("Cargo.lock")).expect("the components have a lock file");
    let own = "name = \"catalog\"\n";
    let block = lock.split("[[package]]\n").find(|block| block.starts_with(own));
    let block = block.expect("the catalog is in it");
    let blocks = packages.map(|package| block.replace(own, &format!("name = {package:?}\n")));
    put(
        &folder.join("Cargo.lock"),
        &once(&lock, block, &blocks.join("[[package]]\n")),
    );
    folder
}

/// The files of a package, by their path in it.
struct Source(Vec<(PathBuf, String)>);

impl Source {
    fn read(folder: &Path) -> Self {
        let mut files = Vec::new();
        for name in ["Cargo.toml", "openapi.json"] {
            let text = fs::read_to_string(folder.join(name)).expect("the catalog has it");
            files.push((PathBuf::from(name), text));
        }
        collect(folder, Path::new("src"), &mut files);
        Self(files)
    }

    fn edit(&mut self, edit: &Edit) {
        let file = self.0.iter_mut().find(|(path, _)| path == Path::new(edit.file));
        let (_, text) = file.unwrap_or_else(|| panic!("the catalog has no {}", edit.file));
        *text = once(text, edit.from, edit.to);
    }

    /// Writes it as another package.
    fn write(&self, folder: &Path, package: &str, repository: &Path) {
        for (path, text) in &self.0 {
            let text = match path.to_str() {
                Some("Cargo.toml") => manifest(text, package),
                Some("src/contract.rs") => {
                    let contract = repository.join("wit/shop-catalog");
                    once(text, "\"../../wit/shop-catalog\"", &format!("{contract:?}"))
                }
                _ => text.clone(),
            };
            put(&folder.join(path), &text);
        }
    }
}

/// The manifest under another name, without what only its tests need.
fn manifest(text: &str, package: &str) -> String {
    let text = once(text, "name = \"catalog\"", &format!("name = {package:?}"));
    let from = text.find("[dev-dependencies]").expect("the catalog has tests");
    let to = text.find("[lints]").expect("the catalog has lints");
    assert!(from < to, "its tests' dependencies come before its lints");
    format!("{}{}", &text[..from], &text[to..])
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(root.join(folder)).expect("the sources are readable") {
        let path = folder.join(entry.expect("the folder is readable").file_name());
        if root.join(&path).is_dir() {
            collect(root, &path, files);
        } else {
            let text = fs::read_to_string(root.join(&path)).expect("a source is text");
            files.push((path, text));
        }
    }
}

/// Replaces what must be there, once.
fn once(text: &str, from: &str, to: &str) -> String {
    let found = text.matches(from).count();
    assert_eq!(
        found, 1,
        "the catalog's sources have changed: there is not one\n{from}\nin\n{text}"
    );
    text.replace(from, to)
}

/// Writes a file that is not so yet: one that is stays as old as it is, and is not built again.
fn put(file: &Path, text: &str) {
    if fs::read_to_string(file).is_ok_and(|before| before == text) {
        return;
    }
    fs::create_dir_all(file.parent().expect("a file has a folder")).expect("the folder is ours");
    fs::write(file, text).expect("the folder is ours");
}
