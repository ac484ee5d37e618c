//! `midplane new`: an app to add services to.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{Failure, scaffold};

/// Make a new app.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midplane new demo             the app `demo` in the directory `demo`
  midplane new demo --dir .     in this directory, if it is empty or has only `.git`

The name is the namespace of the app's contracts: lower-case words, separated by hyphens.")]
pub(super) struct New {
    /// The name of the app.
    name: String,
    /// Where to make it: a directory that is empty or not there [default: the name].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl New {
    pub(super) fn run(&self, quiet: bool) -> Result<(), Failure> {
        let directory = self.dir.clone().unwrap_or_else(|| PathBuf::from(&self.name));
        let app = scaffold::new_app(&self.name, &directory)?;
        if !quiet {
            say(&report(&app));
        }
        Ok(())
    }
}

/// What was made, and what to type next.
fn report(app: &scaffold::NewApp) -> String {
    let directory = &app.directory;
    let place = if directory == Path::new(".") {
        "this directory".to_owned()
    } else {
        directory.display().to_string()
    };
    let mut text = format!("Made the app `{}` in {place}:\n", app.name);
    for file in &app.written.new {
        let _infallible = writeln!(text, "  {file}");
    }
    text.push_str("\nNext:\n");
    if directory != Path::new(".") {
        let _infallible = writeln!(text, "  cd {}", shell_word(directory));
    }
    text.push_str("  midplane add greetings\n");
    text
}

/// A path as a shell takes it.
pub(super) fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@%:,".contains(c);
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        return text.into_owned();
    }
    let dashed = if text.starts_with('-') { "./" } else { "" };
    format!("'{dashed}{}'", text.replace('\'', r"'\''"))
}

/// Prints to standard output. If nobody reads it there is nobody to tell.
pub(super) fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _unread = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_says_what_was_made_and_what_comes_next() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("my demo");
        let app = scaffold::new_app("demo", &directory).unwrap();
        let text = report(&app);
        let expected = format!(
            "Made the app `demo` in {0}:\n  spin.toml\n  README.md\n  .gitignore\n  rust-toolchain.toml\n  \
             wit/README.md\n  components/Cargo.toml\n\nNext:\n  cd '{0}'\n  midplane add greetings\n",
            directory.display()
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn a_path_is_quoted_where_a_shell_would_split_it() {
        for (path, word) in [
            ("demo", "demo"),
            ("../a/b-c.d", "../a/b-c.d"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("-x", "'./-x'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
