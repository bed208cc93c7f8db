//! The binary; see [`accrue::cli`].

fn main() -> std::process::ExitCode {
    accrue::cli::main()
}
