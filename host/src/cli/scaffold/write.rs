//! Writes all of a set of changes, or none. A new file is made only where there is none; an existing one is replaced by
//! renaming a finished file over it, and only if it is still what was read. What was done is undone on the first error.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::ScaffoldError;

/// Refuses a directory that has something in it. One that is not there is empty, and so is one that `git init` made or a
/// repository without a commit was cloned to.
pub(super) fn check_empty(directory: &Path) -> Result<(), ScaffoldError> {
    let is_git = |entry: std::io::Result<fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() == ".git");
    match fs::read_dir(directory).map(|mut entries| entries.all(is_git)) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(false) => Err(ScaffoldError::NotEmpty {
            directory: directory.to_owned(),
        }),
        Err(error) if error.kind() == ErrorKind::NotADirectory => Err(ScaffoldError::NotEmpty {
            directory: directory.to_owned(),
        }),
        Err(source) => Err(ScaffoldError::Read {
            file: directory.to_owned(),
            source,
        }),
    }
}

/// What shall be done.
#[derive(Debug)]
pub(super) struct Changes {
    directory: PathBuf,
    /// Relative to `directory`.
    new: Vec<(String, String)>,
    edited: Vec<Edit>,
}

#[derive(Debug)]
struct Edit {
    file: PathBuf,
    old: String,
    new: String,
}

/// What was done, as paths relative to the directory of the changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Written {
    pub(in crate::cli) new: Vec<String>,
}

impl Changes {
    /// No changes yet, below `directory`.
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            new: Vec::new(),
            edited: Vec::new(),
        }
    }

    /// Makes a file, relative to the directory, and the directories that it is in.
    pub(super) fn create(&mut self, file: String, text: String) {
        self.new.push((file, text));
    }

    /// Replaces the text `old` of a file.
    pub(super) fn replace(&mut self, file: PathBuf, old: String, new: String) {
        self.edited.push(Edit { file, old, new });
    }

    /// Does all of it, in the order in which it was asked for: new files first.
    ///
    /// # Errors
    /// After an error everything is as it was, except if [`ScaffoldError::Left`] says otherwise.
    pub(super) fn apply(self) -> Result<Written, ScaffoldError> {
        let mut undo = Undo::default();
        match self.write(&mut undo) {
            Ok(()) => Ok(Written {
                new: self.new.into_iter().map(|(file, _)| file).collect(),
            }),
            Err(error) => Err(undo.run(error)),
        }
    }

    fn write(&self, undo: &mut Undo) -> Result<(), ScaffoldError> {
        for (file, text) in &self.new {
            let file = self.directory.join(file);
            make(&file, text, undo).map_err(|source| ScaffoldError::Write { file, source })?;
        }
        for edit in &self.edited {
            let failed = |source| ScaffoldError::Write {
                file: edit.file.clone(),
                source,
            };
            // A link stays one: what it leads to is replaced.
            let file = edit.file.canonicalize().map_err(failed)?;
            if fs::read_to_string(&file).map_err(failed)? != edit.old {
                return Err(ScaffoldError::Changed {
                    file: edit.file.clone(),
                });
            }
            replace(&file, &edit.new).map_err(failed)?;
            undo.steps.push(Step::Restore {
                file,
                text: edit.old.clone(),
            });
        }
        Ok(())
    }
}

/// Makes a file where there is none.
fn make(file: &Path, text: &str, undo: &mut Undo) -> std::io::Result<()> {
    let missing: Vec<&Path> = file
        .ancestors()
        .skip(1)
        .take_while(|directory| !directory.as_os_str().is_empty() && !directory.exists())
        .collect();
    for directory in missing.into_iter().rev() {
        fs::create_dir(directory)?;
        undo.steps.push(Step::RemoveDirectory(directory.to_owned()));
    }
    let mut made = OpenOptions::new().write(true).create_new(true).open(file)?;
    undo.steps.push(Step::RemoveFile(file.to_owned()));
    made.write_all(text.as_bytes())
}

/// Puts a finished file in the place of an existing one, with its permissions.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = file.with_file_name(name);
    let mut made = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
    let done = made
        .write_all(text.as_bytes())
        .and_then(|()| made.set_permissions(fs::metadata(file)?.permissions()))
        .and_then(|()| made.sync_all())
        .and_then(|()| fs::rename(&temporary, file));
    if done.is_err() {
        // The error that led here is the one to tell.
        let _secondary = fs::remove_file(&temporary);
    }
    done
}

/// How to get back to where it began.
#[derive(Debug, Default)]
struct Undo {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    RemoveFile(PathBuf),
    RemoveDirectory(PathBuf),
    Restore { file: PathBuf, text: String },
}

impl Step {
    fn file(self) -> PathBuf {
        match self {
            Self::RemoveFile(file) | Self::RemoveDirectory(file) | Self::Restore { file, .. } => file,
        }
    }

    fn run(&self) -> std::io::Result<()> {
        match self {
            Self::RemoveFile(file) => fs::remove_file(file),
            Self::RemoveDirectory(directory) => fs::remove_dir(directory),
            Self::Restore { file, text } => replace(file, text),
        }
    }
}

impl Undo {
    /// Undoes everything, last things first, and answers the error to tell.
    fn run(self, error: ScaffoldError) -> ScaffoldError {
        let mut left = None;
        for step in self.steps.into_iter().rev() {
            if step.run().is_err() {
                left.get_or_insert(step.file());
            }
        }
        match (error, left) {
            (ScaffoldError::Write { file, source }, Some(left)) => ScaffoldError::Left { file, left, source },
            (ScaffoldError::Changed { file }, Some(left)) => ScaffoldError::Left {
                file,
                left,
                source: std::io::Error::other("it changed in the meantime"),
            },
            (error, _) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_undone_is_named_whatever_the_error_was() {
        let root = tempfile::tempdir().unwrap();
        let gone = root.path().join("gone");
        let errors = [
            ScaffoldError::Changed { file: "a".into() },
            ScaffoldError::Write {
                file: "a".into(),
                source: std::io::Error::other("full"),
            },
        ];
        for error in errors {
            let undo = Undo {
                steps: vec![Step::RemoveFile(gone.clone())],
            };
            let told = undo.run(error).to_string();
            let expected = format!(
                "cannot write a, and {} could not be put back as it was",
                gone.display()
            );
            assert_eq!(told, expected);
        }
    }
}
