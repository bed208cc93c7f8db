//! The binary; see [`accrue::cli`].

/// Pages and the learner allocate and free much of different sizes on several threads; ARCHITECTURE.md says what this gains over the
/// allocator of the system.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    accrue::cli::main()
}
