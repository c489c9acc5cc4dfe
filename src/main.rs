//! The binary: arguments in, exit code out; everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(holdfast::cli::main(std::env::args_os()))
}
