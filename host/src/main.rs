//! The command `midplane`: parse, run, map the error to an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    midplane::cli::main()
}
