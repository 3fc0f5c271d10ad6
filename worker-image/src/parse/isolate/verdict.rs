//! What the end of a parser process says of its document. No I/O.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::Signal;

use super::{super::ParseError, Limits};

/// Exit code of a Rust program that has panicked.
const PANIC_EXIT_CODE: i32 = 101;

/// Longest part of a crash's cause that is kept, in characters.
const CAUSE_CHARS: usize = 200;

/// Judges a process that ended before it replied. `last_words` is what it wrote to standard error.
pub(super) fn verdict(status: ExitStatus, last_words: &str, limits: &Limits) -> ParseError {
    let signal = status.signal();
    // Rust's allocator announces that memory ran out, and then aborts; the kernel's OOM killer kills without a word; and a
    // document that is too large to be taken in ends the parser with an error
    let killed_silently = signal == Some(Signal::KILL.as_raw()) && last_words.trim().is_empty();
    let told = ["memory allocation of", "out of memory"].iter().any(|words| last_words.contains(words));
    if told || killed_silently {
        return ParseError::OutOfMemory { mebibytes: limits.memory_bytes / (1024 * 1024) };
    }
    if signal == Some(Signal::XCPU.as_raw()) {
        return ParseError::Timeout { seconds: limits.deadline.as_secs() };
    }
    match status.code() {
        None | Some(0 | PANIC_EXIT_CODE) => ParseError::Crashed { problem: cause(status, last_words) },
        // it could say itself that it cannot work: not the document's fault
        Some(_) => ParseError::NoProcess { problem: cause(status, last_words) },
    }
}

/// The line that tells a person most.
fn cause(status: ExitStatus, last_words: &str) -> String {
    let mut lines = last_words.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = match lines.next() {
        None => return status.to_string(),
        Some(line) if line.contains("has overflowed its stack") => "its parts are nested too deeply",
        // the message of a panic follows the place in the code
        Some(line) if line.contains("panicked at") => lines.next().unwrap_or(line),
        Some(line) => line,
    };
    line.chars().take(CAUSE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::failure::Classified;

    const SIGABRT: i32 = 6;
    const SIGKILL: i32 = 9;
    const SIGSEGV: i32 = 11;
    const SIGXCPU: i32 = 24;

    fn exit(code: i32) -> i32 {
        code << 8
    }

    #[rstest]
    #[case::allocator(SIGABRT, "memory allocation of 4096 bytes failed", "ParserOutOfMemory", "more than 1024 MiB")]
    #[case::too_large(exit(71), "out of memory", "ParserOutOfMemory", "more than 1024 MiB")]
    #[case::kernel(SIGKILL, "", "ParserOutOfMemory", "more than 1024 MiB")]
    #[case::processor_time(SIGXCPU, "", "ParserTimeout", "longer than 9 s")]
    #[case::segmentation_fault(SIGSEGV, "", "ParserCrashed", "signal: 11")]
    #[case::stack(
        SIGABRT,
        "\nthread 'main' (7) has overflowed its stack\nfatal runtime error: stack overflow, aborting",
        "ParserCrashed",
        "its parts are nested too deeply"
    )]
    #[case::panic(
        exit(101),
        "\nthread 'main' (7) panicked at src/x.rs:1:2:\nindex out of bounds\nnote: run with",
        "ParserCrashed",
        ": index out of bounds"
    )]
    #[case::silent_end(exit(0), "", "ParserCrashed", "exit status: 0")]
    #[case::not_allowed_to(exit(71), "Operation not permitted", "ParserUnavailable", "Operation not permitted")]
    #[case::wrong_program(exit(2), "error: unexpected argument", "ParserUnavailable", "unexpected argument")]
    fn each_end_has_its_reason(
        #[case] wait_status: i32,
        #[case] words: &str,
        #[case] reason: &str,
        #[case] tells: &str,
    ) {
        let limits = Limits::with_deadline(Duration::from_secs(9));
        let error = verdict(ExitStatus::from_raw(wait_status), words, &limits);
        assert_eq!(error.reason(), reason);
        assert!(error.to_string().contains(tells), "{error}");
    }
}
