//! Globs: which files one means, and which directories it can lead into.

use std::path::{Component, Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher, GlobSet, GlobSetBuilder};

use super::FilesError;

/// A glob of `files`.
pub(super) struct Pattern {
    whole: GlobMatcher,
    /// One for each of the first components, with those before it: what a directory at that depth must match.
    prefixes: Vec<GlobMatcher>,
    /// There is more after `prefixes`, of a depth that is not known.
    open: bool,
}

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Self, FilesError> {
        let whole = normal(text);
        let mut prefixes = Vec::new();
        let mut open = false;
        let mut head = String::new();
        for part in whole.split('/') {
            if !head.is_empty() {
                head.push('/');
            }
            head.push_str(part);
            // What is no glob by itself is half of `{a/b,c}`.
            let prefix = if part.contains("**") {
                None
            } else {
                compile(&head).ok()
            };
            match prefix {
                Some(prefix) => prefixes.push(prefix),
                None => {
                    open = true;
                    break;
                }
            }
        }
        Ok(Self {
            whole: compile(&whole)?,
            prefixes,
            open,
        })
    }

    /// Whether it means the file at `path`, relative to the app's directory.
    pub(super) fn matches(&self, path: &Path) -> bool {
        self.whole.is_match(path)
    }

    /// Whether it can mean something in the directory `path`.
    pub(super) fn reaches(&self, path: &Path) -> bool {
        let depth = path.components().count();
        if !self.open && depth >= self.prefixes.len() {
            return false;
        }
        let shared = depth.min(self.prefixes.len());
        let Some(prefix) = shared.checked_sub(1).and_then(|last| self.prefixes.get(last)) else {
            return true;
        };
        prefix.is_match(path.components().take(shared).collect::<PathBuf>())
    }
}

/// Whether `text` has characters that only globs have.
pub(super) fn is_glob(text: &str) -> bool {
    text.contains(['*', '?', '[', '{'])
}

/// The globs of `exclude_files` as one.
pub(super) fn excluded(globs: &[String]) -> Result<GlobSet, FilesError> {
    let mut set = GlobSetBuilder::new();
    for text in globs {
        let text = normal(text);
        let glob = GlobBuilder::new(&text).literal_separator(false).build();
        set.add(glob.map_err(|source| failed(&text, source))?);
    }
    set.build().map_err(|source| failed(&globs.join(", "), source))
}

fn compile(text: &str) -> Result<GlobMatcher, FilesError> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    Ok(glob.map_err(|source| failed(text, source))?.compile_matcher())
}

fn failed(text: &str, source: globset::Error) -> FilesError {
    FilesError::Glob {
        glob: text.to_owned(),
        source,
    }
}

/// `text` without `.` components and doubled or final slashes.
fn normal(text: &str) -> String {
    let parts = Path::new(text).components().filter_map(|part| match part {
        Component::Normal(part) => part.to_str(),
        Component::ParentDir => Some(".."),
        Component::CurDir | Component::RootDir | Component::Prefix(_) => None,
    });
    parts.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_leads_only_into_directories_that_may_hold_what_it_means() {
        for (glob, directory, expected) in [
            ("assets/*.css", "assets", true),
            ("assets/*.css", "other", false),
            ("assets/*.css", "assets/sub", false),
            ("./assets//*.css", "assets", true),
            ("*/x.txt", "anything", true),
            ("*/x.txt", "any/thing", false),
            ("assets/**", "assets", true),
            ("assets/**", "assets/a/b/c", true),
            ("assets/**", "target", false),
            ("**/*.css", "any/depth/at/all", true),
            ("{a/b,c}/x", "a", true),
            ("{a/b,c}/x", "a/b", true),
            ("a/{b,c}/x", "a/c", true),
            ("a/{b,c}/x", "a/d", false),
        ] {
            let pattern = Pattern::new(glob).unwrap();
            assert_eq!(
                pattern.reaches(Path::new(directory)),
                expected,
                "{glob} {directory}"
            );
        }
    }

    #[test]
    fn a_star_stops_at_a_slash_but_not_before_a_dot() {
        let pattern = Pattern::new("a/*").unwrap();
        assert!(pattern.matches(Path::new("a/.hidden")));
        assert!(pattern.matches(Path::new("a/b")));
        assert!(!pattern.matches(Path::new("a/b/c")));
        assert!(!pattern.matches(Path::new("a")));
        let all = Pattern::new("a/**").unwrap();
        assert!(all.matches(Path::new("a/b/c")));
        assert!(!all.matches(Path::new("b/a")));
    }

    #[test]
    fn a_star_of_exclude_files_crosses_slashes() {
        let set = excluded(&["a/*.map".to_owned(), "./b/x".to_owned()]).unwrap();
        assert!(set.is_match("a/b/c.map"));
        assert!(set.is_match("b/x"));
        assert!(!set.is_match("c.map"));
        assert!(matches!(
            excluded(&["a[".to_owned()]),
            Err(FilesError::Glob { glob, .. }) if glob == "a["
        ));
    }
}
