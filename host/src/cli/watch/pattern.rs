//! A glob from the manifest, split into the directory that it starts from and the rest.
//!
//! Globs are as in `files`: `*` and `?` do not match `/`. A path without any of a glob's letters means the file, or all
//! that is in the directory.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};

/// Directories below the start of a glob in which nothing is looked for. A glob that names one of them itself starts in it.
const IGNORED: [&str; 3] = ["target", ".git", "node_modules"];

/// Files that a glob means.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    base: PathBuf,
    rest: Rest,
}

#[derive(Debug, Clone)]
enum Rest {
    /// Relative to `base`.
    Glob { matcher: GlobMatcher, deep: bool },
    /// `base` itself, and everything in it.
    Tree,
}

/// A directory in which files can lie that matter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Root {
    pub(super) dir: PathBuf,
    /// With the directories in it.
    pub(super) deep: bool,
}

impl Pattern {
    /// The glob `text`, relative to `dir`.
    pub(super) fn new(dir: &Path, text: &str) -> Result<Self, globset::Error> {
        let mut base = normal(dir);
        let mut rest: Vec<&str> = Vec::new();
        if text.starts_with('/') {
            base = PathBuf::from("/");
        }
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." if rest.is_empty() => {
                    base.pop();
                }
                part if rest.is_empty() && !part.contains(['*', '?', '[', ']', '{', '}', '\\', '!']) => {
                    base.push(part);
                }
                part => rest.push(part),
            }
        }
        if rest.is_empty() {
            return Ok(Self::tree(&base));
        }
        let matcher = GlobBuilder::new(&rest.join("/"))
            .literal_separator(true)
            .build()?;
        Ok(Self {
            base,
            rest: Rest::Glob {
                matcher: matcher.compile_matcher(),
                deep: rest.len() > 1 || rest.iter().any(|part| part.contains("**") || part.contains('{')),
            },
        })
    }

    /// The file or directory at `path`.
    pub(super) fn tree(path: &Path) -> Self {
        Self {
            base: normal(path),
            rest: Rest::Tree,
        }
    }

    /// Whether it means the file at `path`, which is absolute.
    pub(super) fn matches(&self, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(&self.base) else {
            return false;
        };
        if below.parent().is_some_and(is_ignored) || below.file_name().is_some_and(is_scratch) {
            return false;
        }
        match &self.rest {
            Rest::Glob { matcher, .. } => matcher.is_match(below),
            Rest::Tree => true,
        }
    }

    /// Where the files that it means can lie.
    pub(super) fn roots(&self) -> Vec<Root> {
        match self.rest {
            Rest::Glob { deep, .. } => vec![Root {
                dir: self.base.clone(),
                deep,
            }],
            Rest::Tree => {
                let parent = self.base.parent().map(|dir| Root {
                    dir: dir.to_owned(),
                    deep: false,
                });
                let inside = Root {
                    dir: self.base.clone(),
                    deep: true,
                };
                // A file is seen in its directory, and so is a directory that comes later.
                parent.into_iter().chain([inside]).collect()
            }
        }
    }
}

/// Whether one of the directories of `path` is one in which nothing is looked for.
pub(super) fn is_ignored(path: &Path) -> bool {
    path.components()
        .any(|part| matches!(part, Component::Normal(name) if IGNORED.iter().any(|ignored| *ignored == name)))
}

/// Whether it is what editors write beside the file that is edited.
fn is_scratch(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with(".#")
        || name.ends_with('~')
        || name.ends_with(".swp")
        || name.ends_with(".swx")
        || name == "4913"
}

/// Without `.` and `..`, as far as the text goes: events name paths so.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        Pattern::new(Path::new("/app/./orders"), text).unwrap()
    }

    fn matched<'a>(text: &str, paths: &[&'a str]) -> Vec<&'a str> {
        let pattern = pattern(text);
        paths
            .iter()
            .copied()
            .filter(|path| pattern.matches(Path::new(path)))
            .collect()
    }

    #[test]
    fn globs_mean_what_they_mean_in_files() {
        let paths = [
            "/app/orders/src/lib.rs",
            "/app/orders/src/deep/er.rs",
            "/app/orders/Cargo.toml",
            "/app/orders/target/x/build.rs",
            "/app/orders/src/.#lib.rs",
            "/app/orders/src/lib.rs~",
            "/app/shared/src/lib.rs",
        ];
        let [lib, deeper, cargo, ..] = paths;
        assert_eq!(matched("src/**/*.rs", &paths), [lib, deeper]);
        assert_eq!(matched("src/*.rs", &paths), [lib]);
        assert_eq!(matched("**/*.rs", &paths), [lib, deeper]);
        assert_eq!(matched("Cargo.toml", &paths), [cargo]);
        assert_eq!(matched("./src/", &paths), [lib, deeper]);
        assert_eq!(matched("../shared/**/*.rs", &paths), ["/app/shared/src/lib.rs"]);
        assert_eq!(
            matched("target/**/*.rs", &paths),
            ["/app/orders/target/x/build.rs"]
        );
        assert_eq!(matched("/app/shared/**", &paths), ["/app/shared/src/lib.rs"]);
        assert_eq!(matched("{src,Cargo.toml}/*.rs", &paths), [lib]);
        assert!(Pattern::new(Path::new("/app"), "a[").is_err());
    }

    #[test]
    fn only_directories_that_matter_are_watched() {
        let roots = |text: &str| -> Vec<(String, bool)> {
            let roots = pattern(text).roots();
            roots
                .into_iter()
                .map(|root| (root.dir.display().to_string(), root.deep))
                .collect()
        };
        let root = |dir: &str, deep: bool| (dir.to_owned(), deep);
        assert_eq!(roots("src/**/*.rs"), [root("/app/orders/src", true)]);
        assert_eq!(roots("*.toml"), [root("/app/orders", false)]);
        assert_eq!(roots("src/*/lib.rs"), [root("/app/orders/src", true)]);
        assert_eq!(roots("../wit"), [root("/app", false), root("/app/wit", true)]);
    }
}
