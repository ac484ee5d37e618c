//! Files are staged in temporary directories and read back as a guest would see them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use tempfile::TempDir;

use super::*;
use crate::manifest;
use crate::model::ServiceName;

/// An app's directory with files in it.
struct Sample {
    dir: TempDir,
}

impl Sample {
    /// `files` are paths and contents.
    fn new<const N: usize>(files: [(&str, &str); N]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("app")).unwrap();
        let sample = Self { dir };
        for (path, content) in files {
            sample.write(path, content);
        }
        sample
    }

    fn app(&self) -> PathBuf {
        self.dir.path().join("app")
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("state/files")
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.app().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, link: &str, target: impl AsRef<Path>) {
        let link = self.app().join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
    }

    /// `keys` are lines of the service's table.
    fn stage(&self, keys: &str) -> Result<Option<Staged>, FilesError> {
        let text = format!(
            "spin_manifest_version = 2\n[application]\nname = \"x\"\n[[trigger.http]]\nroute = \"/\"\n\
             component = \"a\"\n[component.a]\nsource = \"a.wasm\"\n{keys}\n"
        );
        let app = manifest::parse(&text, &self.app().join("spin.toml")).unwrap();
        stage(
            &app.dir,
            &app.services[&ServiceName::parse("a").unwrap()],
            &self.root(),
        )
    }

    /// Places and contents of what is staged.
    fn staged(&self, keys: &str) -> Vec<(String, String)> {
        let staged = self.stage(keys).unwrap().unwrap();
        contents(&staged.directory).into_iter().collect()
    }

    fn refused(&self, keys: &str) -> FilesError {
        let error = self.stage(keys).unwrap_err();
        assert!(self.left_behind().is_empty(), "{:?}", self.left_behind());
        error
    }

    /// What is below the root.
    fn left_behind(&self) -> Vec<PathBuf> {
        fs::read_dir(self.root()).map_or_else(
            |_| Vec::new(),
            |dir| dir.map(|entry| entry.unwrap().path()).collect(),
        )
    }
}

fn contents(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let place = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
                found.insert(place, fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).into()
}

#[test]
fn a_service_without_files_has_nothing_staged() {
    let sample = Sample::new([]);
    assert_eq!(sample.stage("").unwrap(), None);
    assert!(sample.left_behind().is_empty());
}

#[test]
fn globs_and_names_keep_their_paths() {
    let sample = Sample::new([
        ("a/one.txt", "1"),
        ("a/.hidden", "h"),
        ("a/deep/two.txt", "2"),
        ("b/three.txt", "3"),
        ("[id].txt", "4"),
    ]);
    assert_eq!(
        sample.staged("files = [\"a/*\"]"),
        pairs([("a/.hidden", "h"), ("a/one.txt", "1")])
    );
    assert_eq!(
        sample.staged("files = [\"**/*.txt\"]"),
        pairs([
            ("[id].txt", "4"),
            ("a/deep/two.txt", "2"),
            ("a/one.txt", "1"),
            ("b/three.txt", "3")
        ])
    );
    assert_eq!(
        sample.staged("files = [\"b\", \"[id].txt\"]"),
        pairs([("[id].txt", "4"), ("b/three.txt", "3")])
    );
    assert_eq!(
        sample.staged("files = [\"./b/three.txt\", \"b/*\"]"),
        pairs([("b/three.txt", "3")])
    );
}

#[test]
fn a_directory_or_file_is_put_at_its_destination() {
    let sample = Sample::new([
        ("site/index.html", "i"),
        ("site/css/a.css", "c"),
        ("conf.json", "{}"),
    ]);
    fs::create_dir(sample.dir.path().join("shared")).unwrap();
    fs::write(sample.dir.path().join("shared/s"), "s").unwrap();
    assert_eq!(
        sample.staged(
            "files = [{ source = \"site\", destination = \"/\" }, \
             { source = \"../shared\", destination = \"/lib/shared\" }, \
             { source = \"conf.json\", destination = \"/etc/c.json\" }]"
        ),
        pairs([
            ("css/a.css", "c"),
            ("etc/c.json", "{}"),
            ("index.html", "i"),
            ("lib/shared/s", "s")
        ])
    );
    let error = Sample::new([]).refused("files = [{ source = \"nope\", destination = \"/\" }]");
    assert!(matches!(error, FilesError::NotFound { .. }), "{error}");
}

#[test]
fn a_file_needs_a_name_at_its_destination() {
    let sample = Sample::new([("conf.json", "{}")]);
    let error = sample.refused("files = [{ source = \"conf.json\", destination = \"/\" }]");
    assert!(matches!(error, FilesError::Destination { .. }), "{error}");
}

#[test]
fn what_is_excluded_is_left_out() {
    let sample = Sample::new([
        ("a/x.txt", "x"),
        ("a/x.map", "m"),
        ("a/d/y.map", "m"),
        ("a/secret", "s"),
    ]);
    let keys = "exclude_files = [\"a/*.map\", \"./a/secret\"]\nfiles = ";
    assert_eq!(
        sample.staged(&format!("{keys}[\"a/**\"]")),
        pairs([("a/x.txt", "x")])
    );
    assert_eq!(
        sample.staged(&format!("{keys}[{{ source = \"a\", destination = \"/b\" }}]")),
        pairs([("b/x.txt", "x")])
    );
}

#[test]
fn a_glob_without_files_warns_and_a_name_without_a_file_is_refused() {
    let sample = Sample::new([("a/x", "x")]);
    let staged = sample.stage("files = [\"*.css\", \"a/x\"]").unwrap().unwrap();
    assert_eq!(staged.warnings, ["`files` of a: no file matches \"*.css\""]);
    assert_eq!(contents(&staged.directory).len(), 1);
    let other = Sample::new([]);
    let error = other.refused("files = [\"nope.txt\"]");
    assert!(matches!(error, FilesError::NotFound { .. }), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn the_directory_is_named_by_content_and_used_again() {
    let one = Sample::new([("a/x", "x"), ("a/y", "y")]);
    let two = Sample::new([("b/x", "x"), ("b/y", "y")]);
    let first = one
        .stage("files = [{ source = \"a\", destination = \"/d\" }]")
        .unwrap()
        .unwrap();
    let second = two
        .stage("files = [{ source = \"b\", destination = \"/d\" }]")
        .unwrap()
        .unwrap();
    assert_eq!(first.digest, second.digest);
    assert_eq!(first.directory, one.root().join(first.digest.to_string()));
    let before = fs::metadata(&first.directory).unwrap().modified().unwrap();
    assert_eq!(
        one.stage("files = [{ source = \"a\", destination = \"/d\" }]")
            .unwrap()
            .unwrap(),
        first
    );
    assert_eq!(
        fs::metadata(&first.directory).unwrap().modified().unwrap(),
        before
    );
    assert_eq!(one.left_behind(), [first.directory.as_path()]);
    one.write("a/y", "z");
    let changed = one
        .stage("files = [{ source = \"a\", destination = \"/d\" }]")
        .unwrap()
        .unwrap();
    assert_ne!(changed.digest, first.digest);
    let moved = one
        .stage("files = [{ source = \"a\", destination = \"/e\" }]")
        .unwrap()
        .unwrap();
    assert_ne!(moved.digest, changed.digest);
}

#[test]
fn nobody_else_can_read_what_is_staged_and_nobody_can_write_it() {
    let sample = Sample::new([("a/b/x", "x")]);
    let staged = sample.stage("files = [\"a\"]").unwrap().unwrap();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(sample.root()), 0o700);
    assert_eq!(mode(staged.directory.clone()), 0o700);
    assert_eq!(mode(staged.directory.join("a/b")), 0o700);
    assert_eq!(mode(staged.directory.join("a/b/x")), 0o400);
}

#[test]
fn links_are_followed_where_they_stay_inside() {
    let sample = Sample::new([("real/x", "x"), ("a/y", "y")]);
    sample.link("a/file", "../real/x");
    sample.link("a/dir", "../real");
    assert_eq!(
        sample.staged("files = [\"a/**\"]"),
        pairs([("a/dir/x", "x"), ("a/file", "x"), ("a/y", "y")])
    );
    // For `source` the border is the source itself.
    let error = sample
        .stage("files = [{ source = \"a\", destination = \"/\" }]")
        .unwrap_err();
    assert!(
        matches!(&error, FilesError::Escape { link, .. } if link.ends_with("a/dir")),
        "{error}"
    );
}

#[test]
fn a_link_that_leads_outside_is_refused_where_it_would_be_seen() {
    let sample = Sample::new([("a/x.txt", "x")]);
    let outside = sample.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret.txt"), "s").unwrap();
    sample.link("a/secret", outside.join("secret.txt"));
    sample.link("a/dir", &outside);
    for keys in [
        "files = [\"a\"]",
        "files = [\"a/secret\"]",
        "files = [\"a/s*\"]",
        "files = [\"a/*/*.txt\"]",
        "files = [\"a/dir\"]",
        "files = [\"a/dir/*\"]",
        "files = [\"a/dir/secret.txt\"]",
        "files = [{ source = \"a\", destination = \"/\" }]",
    ] {
        let error = sample.refused(keys);
        assert!(matches!(error, FilesError::Escape { .. }), "{keys}: {error}");
    }
    assert_eq!(sample.staged("files = [\"a/*.txt\"]"), pairs([("a/x.txt", "x")]));
    let keys = "files = [\"a\"]\nexclude_files = [\"a/secret\", \"a/dir\"]";
    assert_eq!(sample.staged(keys), pairs([("a/x.txt", "x")]));
}

#[test]
fn a_link_to_itself_or_to_a_directory_above_is_refused() {
    let sample = Sample::new([("a/x", "x")]);
    sample.link("a/up", "..");
    let error = sample.refused("files = [\"a/**\"]");
    assert!(
        matches!(&error, FilesError::Cycle { link } if link.ends_with("a/up")),
        "{error}"
    );
    assert_eq!(
        sample.staged("files = [\"a/**\"]\nexclude_files = [\"a/up\"]"),
        pairs([("a/x", "x")])
    );
    let sample = Sample::new([]);
    sample.link("a/self", "self");
    let error = sample.refused("files = [\"a/*\"]");
    assert!(matches!(error, FilesError::Read { .. }), "{error}");
    // Each leads into the other.
    let sample = Sample::new([]);
    sample.link("a/to-b", "../b");
    sample.link("b/to-a", "../a");
    let error = sample.refused("files = [\"a\"]");
    assert!(matches!(error, FilesError::Cycle { .. }), "{error}");
}

#[test]
fn what_is_no_file_is_refused() {
    let sample = Sample::new([("a/x", "x")]);
    let _listener = std::os::unix::net::UnixListener::bind(sample.app().join("a/socket")).unwrap();
    for keys in ["files = [\"a/*\"]", "files = [\"a/socket\"]"] {
        let error = sample.refused(keys);
        assert!(matches!(error, FilesError::Special { .. }), "{keys}: {error}");
    }
    let keys = "files = [\"a/*\"]\nexclude_files = [\"a/socket\"]";
    assert_eq!(sample.staged(keys), pairs([("a/x", "x")]));
}

#[test]
fn two_different_files_at_one_place_are_refused() {
    let sample = Sample::new([("a/x", "1"), ("b/x", "2"), ("c/x", "1"), ("d/x/y", "3")]);
    let both = |first: &str, second: &str| {
        format!(
            "files = [{{ source = \"{first}\", destination = \"/\" }}, {{ source = \"{second}\", destination = \"/\" }}]"
        )
    };
    let error = sample.refused(&both("a", "b"));
    assert!(
        matches!(&error, FilesError::Conflict { place, .. } if place == "x"),
        "{error}"
    );
    let error = sample.refused(&both("a", "d"));
    assert!(
        matches!(&error, FilesError::Conflict { place, .. } if place == "x"),
        "{error}"
    );
    // Equal ones may.
    assert_eq!(sample.staged(&both("a", "c")), pairs([("x", "1")]));
}

#[test]
fn more_bytes_than_allowed_are_refused_before_anything_is_written() {
    let sample = Sample::new([("a/small", "x")]);
    let large = fs::File::create(sample.app().join("a/large")).unwrap();
    // A hole: it has a length and no blocks.
    large.set_len(MAX_BYTES + 1).unwrap();
    let error = sample.refused("files = [\"a\"]");
    assert!(matches!(error, FilesError::TooLarge { .. }), "{error}");
}

#[test]
fn directories_deeper_than_allowed_are_refused() {
    let deep = vec!["d"; MAX_DEPTH + 1].join("/");
    let sample = Sample::new([(&format!("{deep}/x"), "x")]);
    let error = sample.refused("files = [\"d\"]");
    assert!(matches!(error, FilesError::TooDeep { .. }), "{error}");
}

#[test]
fn a_root_that_cannot_be_written_is_said() {
    let sample = Sample::new([("a/x", "x")]);
    fs::write(
        sample.dir.path().join("state"),
        "a file where a directory should be",
    )
    .unwrap();
    let error = sample.refused("files = [\"a\"]");
    assert!(matches!(error, FilesError::Write { .. }), "{error}");
}

#[test]
fn what_nobody_uses_is_swept_away_and_nothing_else() {
    let sample = Sample::new([("a/x", "x"), ("a/y", "y")]);
    assert_eq!(sweep(&sample.root(), &BTreeSet::new()).unwrap(), 0);
    let kept = sample.stage("files = [\"a/x\"]").unwrap().unwrap();
    let old = sample.stage("files = [\"a/y\"]").unwrap().unwrap();
    fs::create_dir(sample.root().join(".partial-0-1-2")).unwrap();
    fs::create_dir(sample.root().join("mine")).unwrap();
    assert_eq!(sweep(&sample.root(), &BTreeSet::from([kept.digest])).unwrap(), 2);
    assert!(kept.directory.join("a/x").is_file());
    assert!(!old.directory.exists());
    assert!(sample.root().join("mine").is_dir());
}
