//! Deterministic names and labels of everything that the operator makes. No I/O.

pub use lexigram_api::{
    annotation::{ARCHIVE, ARCHIVE_CATEGORIES, ARCHIVE_IDS, RETRY, RETRY_CATEGORIES, RETRY_IDS, RUN},
    pod::{STORE_CLAIM, STORE_CLAIM_LABEL},
};
use sha2::{Digest, Sha256};

/// Field manager of server-side apply, value of `app.kubernetes.io/managed-by`, name of the event reporter.
pub const OPERATOR: &str = "lexigram-operator";
/// Label of everything that the operator makes.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label with the uid of the object that a Job, ConfigMap or Pod works for.
pub const OWNER_UID: &str = "workers.lexigram.dev/owner-uid";
/// Label with the kind of that object.
pub const OWNER_KIND: &str = "workers.lexigram.dev/owner-kind";
/// Annotation with the name of that object: names may be longer than labels.
pub const OWNER_NAME: &str = "workers.lexigram.dev/owner-name";
/// Annotation of a Job: how many runs of its object ran out of memory before it.
pub const EXHAUSTED: &str = "workers.lexigram.dev/exhausted";
/// Annotation of a Job: a digest of the Secrets, ConfigMaps and claims that its object named when it was created.
pub const REFERENCES: &str = "workers.lexigram.dev/references";
/// Annotation of a maintenance Job: its tasks by name and type, as JSON.
pub const TASKS: &str = "workers.lexigram.dev/tasks";
/// Annotation of a maintenance Job that is over: what came of it, as JSON.
pub const OUTCOME: &str = "workers.lexigram.dev/outcome";
/// Annotation of a CronJob: a digest of what it was made from.
pub const DIGEST: &str = "workers.lexigram.dev/digest";
/// Label that hands a Job to Kueue.
pub const KUEUE_QUEUE: &str = "kueue.x-k8s.io/queue-name";

/// What the names of an EmbeddingBatch's runs begin with: `x-br1` is not the run `x-r1` of an IngestionJob `x`.
pub const BATCH_RUN_PREFIX: &str = "b";
/// Longest name of a Job: its pods carry it as a label.
pub(crate) const MAX_NAME: usize = 63;
/// Hexadecimal digits of the hash in a name that was cut.
const HASH_DIGITS: usize = 8;
/// Characters of an object's uid in the names of its runs in the ledger.
const UID_CHARS: usize = 8;

/// The first bytes of a text's SHA-256, in hexadecimal.
pub(crate) fn short_hash(text: &str, bytes: usize) -> String {
    Sha256::digest(text).iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
}

/// What a run is called in the ledger and in work specs, given its Job's name and its object's uid: an object that was
/// deleted and made anew has Jobs of the same names, and must not find its runs ended already.
#[must_use]
pub fn ledger_run(job_name: &str, owner_uid: &str) -> String {
    let incarnation: String = owner_uid.chars().take(UID_CHARS).collect();
    format!("{job_name}.{incarnation}")
}

/// Name of a child of the object `name`, of at most `most` characters. Long names are cut and end with a hash of the
/// whole name before the suffix.
#[must_use]
pub(crate) fn child(name: &str, suffix: &str, most: usize) -> String {
    if name.len() + suffix.len() <= most && !name.contains('.') {
        return format!("{name}{suffix}");
    }
    // dots are fine in names of objects and not in the labels and host names that pods get from a Job's name
    let hash = short_hash(name, HASH_DIGITS / 2);
    let room = most - suffix.len() - HASH_DIGITS - 1;
    let head: String = name.replace('.', "-").chars().take(room).collect();
    format!("{}-{hash}{suffix}", head.trim_end_matches('-'))
}

/// Which run of a job a Kubernetes Job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunNumber {
    /// The n-th full run, from 1: `x-r1`.
    Full(u32),
    /// The k-th retry of dead letters, from 1: `x-retry1`.
    Retry(u32),
}

impl RunNumber {
    /// Name of the Kubernetes Job and of its work spec, for the object `name`; `prefix` is that of the object's kind.
    /// Long names are cut and end with a hash of the whole name.
    #[must_use]
    pub fn job_name(self, name: &str, prefix: &str) -> String {
        let suffix = match self {
            Self::Full(number) => format!("-{prefix}r{number}"),
            Self::Retry(number) => format!("-{prefix}retry{number}"),
        };
        child(name, &suffix, MAX_NAME)
    }

    /// Its number, if it is a full run.
    #[must_use]
    pub const fn full(self) -> Option<u32> {
        match self {
            Self::Full(number) => Some(number),
            Self::Retry(_) => None,
        }
    }

    /// Its number, if it is a retry.
    #[must_use]
    pub const fn retry(self) -> Option<u32> {
        match self {
            Self::Full(_) => None,
            Self::Retry(number) => Some(number),
        }
    }

    /// The run that the Kubernetes Job `job_name` of the object `name` is.
    #[must_use]
    pub fn parse(job_name: &str) -> Option<Self> {
        let (_, suffix) = job_name.rsplit_once('-')?;
        let suffix = suffix.strip_prefix(BATCH_RUN_PREFIX).unwrap_or(suffix);
        match suffix.strip_prefix("retry") {
            Some(number) => number.parse().ok().map(Self::Retry),
            None => suffix.strip_prefix('r')?.parse().ok().map(Self::Full),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(RunNumber::Full(1), "", "handbook-r1")]
    #[case(RunNumber::Retry(12), "", "handbook-retry12")]
    #[case(RunNumber::Full(1), "b", "handbook-br1")]
    #[case(RunNumber::Retry(12), "b", "handbook-bretry12")]
    fn short_names_are_kept(#[case] run: RunNumber, #[case] prefix: &str, #[case] expected: &str) {
        assert_eq!(run.job_name("handbook", prefix), expected);
        assert_eq!(RunNumber::parse(expected), Some(run));
    }

    #[test]
    fn long_names_are_cut_and_stay_different() {
        let (a, b) = (format!("{}a", "x".repeat(80)), format!("{}b", "x".repeat(80)));
        let names = [&a, &b].map(|name| RunNumber::Full(1).job_name(name, ""));
        assert_ne!(names[0], names[1]);
        assert!(names.iter().all(|name| name.len() <= MAX_NAME), "{names:?}");
        assert_eq!(RunNumber::parse(&names[0]), Some(RunNumber::Full(1)));
    }

    #[test]
    fn an_object_made_anew_has_runs_of_its_own() {
        let [old, new] = ["11111111-2222", "99999999-2222"].map(|uid| ledger_run("handbook-r1", uid));
        assert_eq!((old.as_str(), new.as_str()), ("handbook-r1.11111111", "handbook-r1.99999999"));
    }

    #[test]
    fn a_dotted_name_is_not_that_of_its_dashed_twin() {
        assert_ne!(RunNumber::Full(1).job_name("a.b", ""), RunNumber::Full(1).job_name("a-b", ""));
    }
}
