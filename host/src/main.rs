//! The command `midplane`: parse, run, map the error to an exit code.

use std::process::ExitCode;

/// Gives back what a swap has freed; the system's keeps it, in an arena for each thread.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    midplane::cli::main()
}
