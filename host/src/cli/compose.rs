//! `midplane compose`: a service and those that it links to, as one component file.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::check::{self, Inputs, size};
use super::{Exit, Failure};
use crate::host::check::{Fused, FusionError, Home, fuse};
use crate::model::ServiceName;
use crate::shutdown::Tasks;

/// Make one component of a service and those that it links to.
#[derive(Args)]
#[command(after_help = "\
Examples:
  midplane compose orders                      write orders.composed.wasm
  midplane compose orders -f shop -o all.wasm --force
                                               another manifest, another file, which may be there already

For platforms without live links. In the one component that results the services share a sandbox, and what one of them may
reach all may. It exports what the service exports; services that nothing links to are left out.")]
pub(super) struct Compose {
    /// The service that answers requests.
    service: ServiceName,
    #[command(flatten)]
    inputs: Inputs,
    /// The file to write [default: SERVICE.composed.wasm].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the file if it exists.
    #[arg(long)]
    force: bool,
}

impl From<FusionError> for Failure {
    fn from(error: FusionError) -> Self {
        let hint = error.hint();
        Self {
            error: error.into(),
            hint,
            exit: Exit::Failed,
        }
    }
}

impl Compose {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let output = self
            .output
            .clone()
            .unwrap_or_else(|| format!("{}.composed.wasm", self.service).into());
        // Before anything takes time; what counts is the look at the end.
        if !self.force && output.symlink_metadata().is_ok() {
            return Err(exists(&output));
        }
        let (app, options) = self.inputs.read()?;
        let tasks = Tasks::new();
        let fused = check::uninterrupted(&tasks, fuse(&app, &self.service, &options, &tasks)).await?;
        let fused = match fused {
            Ok(fused) => fused,
            Err(error) => {
                if let FusionError::Findings { findings, .. } = &error {
                    check::tell(findings);
                }
                return Err(error.into());
            }
        };
        write(&output, &fused.bytes, self.force).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(&output),
            _ => Failure {
                error: anyhow::Error::from(error).context(format!("cannot write {}", output.display())),
                hint: Some("name a file that this user can write with `--output`".into()),
                exit: Exit::Failed,
            },
        })?;
        check::print(&told(&output, &fused))
    }
}

fn exists(output: &Path) -> Failure {
    Failure {
        error: anyhow::anyhow!("{} exists already", output.display()),
        hint: Some("replace it with `--force`, or name another file with `--output`".into()),
        exit: Exit::Failed,
    }
}

/// Writes the file whole or not at all.
fn write(output: &Path, bytes: &[u8], force: bool) -> io::Result<()> {
    let directory = match output.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".midplane-compose-")
        .permissions(permissions())
        .tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    let kept = if force {
        file.persist(output)
    } else {
        file.persist_noclobber(output)
    };
    kept.map(drop).map_err(|error| error.error)
}

/// Those of any file that is written, and not those of a secret.
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o666)
}

/// What was written, for people.
fn told(output: &Path, fused: &Fused) -> String {
    let mut text = format!("{}  {}\n", output.display(), size(fused.bytes.len()));
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _infallible = text.write_fmt(line);
        text.push('\n');
    };
    line(format_args!("\nMade of"));
    for (service, bytes) in &fused.parts {
        line(format_args!("  {service}  {}", size(*bytes)));
    }
    if !fused.links.is_empty() {
        line(format_args!("\nLinks that are calls within it now"));
    }
    for link in &fused.links {
        line(format_args!(
            "  {} → {}  {}",
            link.caller, link.callee, link.import
        ));
    }
    line(format_args!("\nImports"));
    for import in &fused.imports {
        line(format_args!("  {import}"));
    }
    line(format_args!("\n{}", home(fused.home)));
    text
}

const fn home(home: Home) -> &'static str {
    match home {
        Home::Wasi => "It needs nothing but WASI: it runs under `wasmtime serve`, on Spin and on Midplane.",
        Home::Spin => {
            "It needs more than WASI: it runs on Spin and on Midplane, with the grants that its services have."
        }
        Home::Library => "It answers no HTTP: it can be a dependency of a component that does.",
    }
}
