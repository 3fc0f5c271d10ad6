//! The system calls that a parser may make: computing, memory, threads, and the pipes that it has. Every other is refused
//! with EPERM, and the parser goes on. Changes this very process, for good.

use std::{collections::BTreeMap, env::consts::ARCH};

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// Allowed whatever their arguments.
const ALLOWED: [i64; 32] = [
    // pipes; none but those that are open
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_lseek,
    // memory
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // threads: PDF objects are read in several
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_membarrier,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    // signals, which tell of an overflown stack
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // time and chance
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    libc::SYS_gettimeofday,
    // the end
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Restricts this thread, and those that it starts.
pub(super) fn restrict() -> Result<(), Error> {
    // Its flags are out of a filter's sight. The C library then uses the older call.
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let allowed = allowed()?;
    apply_filter(&filter(no_clone3, SeccompAction::Allow, errno(libc::ENOSYS))?)?;
    apply_filter(&filter(allowed, errno(libc::EPERM), SeccompAction::Allow)?)
}

fn allowed() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.into_iter().map(|call| (call, Vec::new())).collect();
    let only = |argument, operator, value| -> Result<_, BackendError> {
        let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?;
        Ok(vec![SeccompRule::new(vec![condition])?])
    };
    let thread = u64::from(libc::CLONE_THREAD.unsigned_abs());
    rules.insert(libc::SYS_clone, only(0, SeccompCmpOp::MaskedEq(thread), thread)?);
    // limits of its own, signals to itself: not its parent's, which has the same user
    rules.insert(libc::SYS_prlimit64, only(0, SeccompCmpOp::Eq, 0)?);
    rules.insert(libc::SYS_tgkill, only(0, SeccompCmpOp::Eq, u64::from(std::process::id()))?);
    Ok(rules)
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    others: SeccompAction,
    these: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(rules, others, these, ARCH.try_into()?)?.try_into()
}

fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}
