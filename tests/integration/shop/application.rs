//! The repository's manifest, its components built, and folders to serve it from.

use std::fs;
use std::path::{Path, PathBuf};

use tokio::sync::OnceCell;

use crate::harness::{Builder, TestHost, program};

pub const ADMIN_EMAIL: &str = "admin@example.com";
pub const ADMIN_PASSWORD: &str = "the tests' own admin password";

/// Whose the data labels of the manifest are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Each service has its own database: what the manifest says.
    PerService,
    /// One database for all, as on Spin.
    Shared,
}

/// The shop with the admin of [`ADMIN_PASSWORD`], its folder and its state new.
pub async fn shop() -> Builder {
    let builder = TestHost::builder().manifest(manifest(Shape::PerService).await);
    variable(builder, "admin_password", ADMIN_PASSWORD)
}

/// Gives a variable of the manifest a value.
pub fn variable(builder: Builder, name: &str, value: &str) -> Builder {
    builder.arg("--variable").arg(format!("{name}={value}"))
}

/// The repository's manifest, fit to be served from another folder. The components are built.
pub async fn manifest(shape: Shape) -> String {
    build().await;
    let text = fs::read_to_string(repository().join("spin.toml")).expect("the repository has a manifest");
    let target = repository().join("components/target");
    let target = target.to_str().expect("the path is text");
    let text = replace(&text, " = \"components/target", &format!(" = \"{target}"));
    match shape {
        Shape::PerService => text,
        Shape::Shared => replace(&text, "data = \"per-service\"", "data = \"app\""),
    }
}

/// Replaces all of what must be there.
pub fn replace(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "the manifest no longer says {from}");
    text.replace(from, to)
}

/// The folder of the repository.
pub fn repository() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().expect("this package is in the repository")
}

/// Builds the components as a user does, once in a test run. Nothing to do where they are up to date.
async fn build() {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    BUILT
        .get_or_init(async || {
            let mut command = program();
            command.arg("build").current_dir(repository());
            for (name, _) in std::env::vars_os() {
                // The components' own cargo must not hear of the one that runs this test.
                let text = name.to_string_lossy();
                let package = text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_");
                let flags = [
                    "CARGO_TARGET_DIR",
                    "CARGO_BUILD_TARGET",
                    "RUSTFLAGS",
                    "CARGO_ENCODED_RUSTFLAGS",
                ];
                if package || flags.contains(&&*text) {
                    command.env_remove(&name);
                }
            }
            let output = command.output().await.expect("the binary starts");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "the components do not build:\n{said}");
        })
        .await;
}
