//! The worker's program; see [`lexigram_worker::cli`].

fn main() -> std::process::ExitCode {
    lexigram_worker::cli::main()
}
