//! From the entries of `files` to the files that they name: a walk that follows links within bounds.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use globset::GlobSet;

use super::pattern::{Pattern, excluded, is_glob};
use super::{FilesError, MAX_DEPTH, MAX_ENTRIES, MAX_FILES};
use crate::manifest::{FileMount, Service};

/// What the entries name.
pub(super) struct Collected {
    /// For each place, relative to the guest's root, the files that are to be there: more than one only if their
    /// contents are equal.
    pub(super) files: BTreeMap<String, Vec<PathBuf>>,
    pub(super) warnings: Vec<String>,
}

pub(super) fn collect(app_dir: &Path, service: &Service) -> Result<Collected, FilesError> {
    let mut collector = Collector {
        app_dir,
        service: service.name.as_str(),
        excluded: excluded(&service.exclude_files)?,
        files: BTreeMap::new(),
        count: 0,
        entries: 0,
    };
    let mut warnings = Vec::new();
    for mount in &service.files {
        let found = match mount {
            FileMount::Glob { pattern } => collector.glob(pattern)?,
            FileMount::Directory { source, destination } => collector.placed(source, destination)?,
        };
        if found == 0 {
            let named = match mount {
                FileMount::Glob { pattern } => format!("{pattern:?}"),
                FileMount::Directory { source, .. } => source.display().to_string(),
            };
            warnings.push(format!("`files` of {}: no file matches {named}", service.name));
        }
    }
    Ok(Collected {
        files: collector.files,
        warnings,
    })
}

struct Collector<'a> {
    app_dir: &'a Path,
    service: &'a str,
    excluded: GlobSet,
    files: BTreeMap<String, Vec<PathBuf>>,
    /// Files so far.
    count: usize,
    /// Directory entries so far.
    entries: usize,
}

/// What holds for all of one walk.
struct Walk<'w> {
    /// Where links must lead, free of links itself.
    boundary: &'w Path,
    /// What is looked for; everything if `None`. Its paths are those relative to the guest's root.
    pattern: Option<&'w Pattern>,
}

impl Walk<'_> {
    fn wants(&self, place: &Path) -> bool {
        self.pattern.is_none_or(|pattern| pattern.matches(place))
    }

    fn enters(&self, place: &Path) -> bool {
        self.pattern.is_none_or(|pattern| pattern.reaches(place))
    }
}

impl Collector<'_> {
    /// How many files an entry that is a glob, or the path of a file or directory, names.
    fn glob(&mut self, text: &str) -> Result<usize, FilesError> {
        let boundary = real(self.app_dir)?;
        let path = self.app_dir.join(text);
        match fs::metadata(&path) {
            Ok(_) => {
                // Without `.` and doubled slashes.
                let place: PathBuf = Path::new(text)
                    .components()
                    .filter(|part| *part != Component::CurDir)
                    .collect();
                let target = inside(&path, &boundary)?;
                let walk = Walk {
                    boundary: &boundary,
                    pattern: None,
                };
                self.named(&path, target, &place, &walk)
            }
            Err(_) if is_glob(text) => {
                let pattern = Pattern::new(text)?;
                let walk = Walk {
                    boundary: &boundary,
                    pattern: Some(&pattern),
                };
                let mut chain = vec![boundary.clone()];
                self.directory(self.app_dir, Path::new(""), &walk, &mut chain)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Err(FilesError::NotFound { path }),
            Err(source) => Err(FilesError::Read { path, source }),
        }
    }

    /// How many files are in `source`, or 1 for a file.
    fn placed(&mut self, source: &Path, destination: &str) -> Result<usize, FilesError> {
        let place: PathBuf = Path::new(destination)
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect();
        let target = match fs::canonicalize(source) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(FilesError::NotFound {
                    path: source.to_owned(),
                });
            }
            target => target.map_err(|error| unreadable(source, error))?,
        };
        let boundary = target.clone();
        let walk = Walk {
            boundary: &boundary,
            pattern: None,
        };
        self.named(source, target, &place, &walk)
    }

    /// The file or directory `path`, which leads to `target`.
    fn named(
        &mut self,
        path: &Path,
        target: PathBuf,
        place: &Path,
        walk: &Walk<'_>,
    ) -> Result<usize, FilesError> {
        let meta = fs::metadata(&target).map_err(|error| unreadable(path, error))?;
        if meta.is_dir() {
            return self.directory(path, place, walk, &mut vec![target]);
        }
        if !meta.is_file() {
            return Err(FilesError::Special {
                path: path.to_owned(),
            });
        }
        if place.as_os_str().is_empty() {
            return Err(FilesError::Destination {
                file: path.to_owned(),
                destination: "/".to_owned(),
            });
        }
        self.add(path, target, place)
    }

    /// The files of `dir`, which is at `place` for the guest. `chain` has the directories above it and itself, free of
    /// links.
    fn directory(
        &mut self,
        dir: &Path,
        place: &Path,
        walk: &Walk<'_>,
        chain: &mut Vec<PathBuf>,
    ) -> Result<usize, FilesError> {
        if chain.len() > MAX_DEPTH {
            return Err(FilesError::TooDeep { path: dir.to_owned() });
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(dir).map_err(|error| unreadable(dir, error))? {
            let entry = entry.map_err(|error| unreadable(dir, error))?;
            self.entries += 1;
            if self.entries > MAX_ENTRIES {
                return Err(FilesError::TooFar {
                    service: self.service.to_owned(),
                });
            }
            let kind = entry
                .file_type()
                .map_err(|error| unreadable(&entry.path(), error))?;
            names.push((entry.file_name(), kind));
        }
        names.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut found = 0;
        for (name, kind) in names {
            let path = dir.join(&name);
            let place = place.join(&name);
            let (wanted, entered) = (walk.wants(&place), walk.enters(&place));
            if !wanted && !entered {
                continue;
            }
            if kind.is_symlink() {
                found += self.link(&path, &place, walk, chain)?;
            } else if kind.is_dir() {
                if entered {
                    let real = chain
                        .last()
                        .map_or_else(|| path.clone(), |above| above.join(&name));
                    chain.push(real);
                    found += self.directory(&path, &place, walk, chain)?;
                    chain.pop();
                }
            } else if wanted {
                found += self.file(&path, path.clone(), &place, kind.is_file())?;
            }
        }
        Ok(found)
    }

    /// What the link `path` leads to, if it is looked for.
    fn link(
        &mut self,
        path: &Path,
        place: &Path,
        walk: &Walk<'_>,
        chain: &mut Vec<PathBuf>,
    ) -> Result<usize, FilesError> {
        if self.is_excluded(path) {
            return Ok(0);
        }
        let wanted = walk.wants(place);
        let resolved = fs::canonicalize(path).and_then(|target| Ok((fs::metadata(&target)?, target)));
        let (meta, target) = match resolved {
            Ok(resolved) => resolved,
            Err(error) if wanted => return Err(unreadable(path, error)),
            // It leads nowhere, so nothing that is looked for is behind it.
            Err(_) => return Ok(0),
        };
        let leads_on = meta.is_dir() && walk.enters(place);
        if !leads_on && (meta.is_dir() || !wanted) {
            return Ok(0);
        }
        if !target.starts_with(walk.boundary) {
            return Err(escape(path, walk.boundary));
        }
        if !leads_on {
            return self.file(path, target, place, meta.is_file());
        }
        if chain.contains(&target) {
            return Err(FilesError::Cycle {
                link: path.to_owned(),
            });
        }
        chain.push(target);
        let found = self.directory(path, place, walk, chain);
        chain.pop();
        found
    }

    /// The file `path`, or something that is none.
    fn file(
        &mut self,
        path: &Path,
        target: PathBuf,
        place: &Path,
        is_file: bool,
    ) -> Result<usize, FilesError> {
        if is_file {
            return self.add(path, target, place);
        }
        if self.is_excluded(path) {
            return Ok(0);
        }
        Err(FilesError::Special {
            path: path.to_owned(),
        })
    }

    /// Takes the file `path`, whose content is at `target`, unless it is excluded.
    fn add(&mut self, path: &Path, target: PathBuf, place: &Path) -> Result<usize, FilesError> {
        if self.is_excluded(path) {
            return Ok(0);
        }
        let Some(place) = place.to_str() else {
            return Err(FilesError::NotUtf8 {
                path: path.to_owned(),
            });
        };
        let there = self.files.entry(place.to_owned()).or_default();
        if !there.contains(&target) {
            self.count += 1;
            if self.count > MAX_FILES {
                return Err(FilesError::TooMany {
                    service: self.service.to_owned(),
                });
            }
            there.push(target);
        }
        Ok(1)
    }

    fn is_excluded(&self, path: &Path) -> bool {
        path.strip_prefix(self.app_dir)
            .is_ok_and(|path| self.excluded.is_match(path))
    }
}

/// `path` without links, if it leads to a place in `boundary`.
fn inside(path: &Path, boundary: &Path) -> Result<PathBuf, FilesError> {
    let target = real(path)?;
    if target.starts_with(boundary) {
        Ok(target)
    } else {
        Err(escape(path, boundary))
    }
}

fn real(path: &Path) -> Result<PathBuf, FilesError> {
    fs::canonicalize(path).map_err(|error| unreadable(path, error))
}

fn escape(link: &Path, boundary: &Path) -> FilesError {
    FilesError::Escape {
        link: link.to_owned(),
        boundary: boundary.to_owned(),
    }
}

fn unreadable(path: &Path, source: io::Error) -> FilesError {
    FilesError::Read {
        path: path.to_owned(),
        source,
    }
}
