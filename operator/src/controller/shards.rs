//! What the workers of one run say together, where several share the work: each speaks of its own part. No I/O.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use lexigram_api::contract::{Counts, ItemFailure, Progress, ProviderRequests, RECENT_FAILURES, Report};

use super::{
    outcome::Cause,
    pods::{Ended, Worker, Workers},
};

/// All parts as one worker: what keeps one of them from going on concerns all of them, one that runs is running, and it
/// has ended when every one has.
#[must_use]
pub fn join(shards: &[Workers]) -> Workers {
    if let [only] = shards {
        return only.clone();
    }
    let rank = |workers: &Workers| match &workers.current {
        Worker::Waiting(Some(trouble)) if trouble.needs_help => 0,
        Worker::Running(Some(_)) => 1,
        Worker::Running(None) => 2,
        Worker::Waiting(Some(_)) => 3,
        Worker::Waiting(None) => 4,
        Worker::Absent => 5,
        Worker::Ended => 6,
    };
    let current = shards.iter().min_by_key(|workers| rank(workers));
    let current = current.map_or(Worker::Absent, |workers| workers.current.clone());
    let ends = || shards.iter().filter_map(|workers| workers.last_end.as_ref());
    let last_end = match ends().find(|end| end.cause != Cause::Exited(0)) {
        Some(trouble) => Some(trouble.clone()),
        None => ends().max_by_key(|end| end.at).map(|last| {
            let mut ends: Vec<_> = ends().collect();
            ends.sort_by_key(|end| end.at);
            let reports: Option<Vec<&Report>> = ends.iter().map(|end| end.report.as_ref()).collect();
            let all = ends.len() == shards.len();
            Ended { report: reports.filter(|_| all).and_then(|reports| report(&reports)), ..last.clone() }
        }),
    };
    let out_of_memory = shards.iter().any(|workers| workers.out_of_memory);
    let mut provider = ProviderRequests::default();
    shards.iter().for_each(|workers| provider += &workers.provider);
    Workers { current, last_end, out_of_memory, provider }
}

/// The reports of all parts as one, given in the order in which these ended.
fn report(parts: &[&Report]) -> Option<Report> {
    let (first, others) = parts.split_first()?;
    let mut whole = (*first).clone();
    for part in others {
        whole.counts += &part.counts;
        whole.error = whole.error.or_else(|| part.error.clone());
        whole.circuit = whole.circuit.or_else(|| part.circuit.clone());
        whole.next_retry_time = earliest(whole.next_retry_time, part.next_retry_time);
        // these are of the whole source, and the part that ended last knows them best
        whole.dead_letters = part.dead_letters.clone();
    }
    whole.recent_failures = newest(parts.iter().flat_map(|part| &part.recent_failures));
    Some(whole)
}

/// What the parts that run say, and the reports of those that have ended, as one; nothing while one that runs is silent.
#[must_use]
pub fn progress(running: Vec<Option<Progress>>, ended: &[&Report]) -> Option<Progress> {
    let running = running.into_iter().collect::<Option<Vec<_>>>()?;
    let mut counts = Counts::default();
    for part in running.iter().map(|part| &part.counts).chain(ended.iter().map(|report| &report.counts)) {
        counts += part;
    }
    let failures = running.iter().flat_map(|part| &part.recent_failures);
    let recent_failures = newest(failures.chain(ended.iter().flat_map(|report| &report.recent_failures)));
    let started = running.iter().map(|part| part.started).min()?;
    let limited = running.iter().filter_map(|part| part.rate_limited_until).min();
    let circuit = running.iter().find_map(|part| part.circuit.clone());
    let newest = running.into_iter().max_by_key(|part| part.heartbeat)?;
    Some(Progress { counts, recent_failures, started, rate_limited_until: limited, circuit, ..newest })
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}

/// The newest failures, each item once.
fn newest<'a>(failures: impl Iterator<Item = &'a ItemFailure>) -> Vec<ItemFailure> {
    let mut all: Vec<&ItemFailure> = failures.collect();
    all.sort_by_key(|failure| std::cmp::Reverse(failure.last_failure_time));
    let mut seen = BTreeSet::new();
    all.retain(|failure| seen.insert(&failure.item));
    all.into_iter().take(RECENT_FAILURES).cloned().collect()
}

/// Things by the part that they belong to; what says of none belongs to the first.
#[must_use]
pub fn by_index<T: Clone>(things: &[T], index: impl Fn(&T) -> Option<usize>, parts: usize) -> Vec<Vec<T>> {
    let mut sorted: BTreeMap<usize, Vec<T>> = BTreeMap::new();
    for thing in things {
        sorted.entry(index(thing).unwrap_or(0)).or_default().push(thing.clone());
    }
    (0..parts.max(1)).map(|part| sorted.remove(&part).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use lexigram_api::contract::{CONTRACT_VERSION, FailureCounts, ItemCounts};
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;
    use crate::controller::{
        job::tests::fixtures::{at, pod, progress as progress_of, report as report_of},
        pods::Trouble,
        runs::Run,
    };

    fn part(current: Worker, last_end: Option<Ended>) -> Workers {
        let out_of_memory = last_end.as_ref().is_some_and(|end| end.cause == Cause::OutOfMemory);
        Workers { current, last_end, out_of_memory, provider: ProviderRequests { answered: 2, ..Default::default() } }
    }

    fn done(items: i32, failures: [i32; 3]) -> Workers {
        part(
            Worker::Ended,
            Some(Ended { cause: Cause::Exited(0), at: None, report: Some(report_of("docs-r1", items, failures)) }),
        )
    }

    fn killed() -> Workers {
        part(Worker::Ended, Some(Ended { cause: Cause::OutOfMemory, at: None, report: None }))
    }

    fn running() -> Workers {
        part(Worker::Running(Some("10.0.0.1".to_owned())), None)
    }

    fn stuck() -> Worker {
        Worker::Waiting(Some(Trouble { reason: "ImagePullFailed", message: String::new(), needs_help: true }))
    }

    #[rstest]
    #[case::one_needs_help(vec![running(), part(stuck(), None), done(1, [0, 0, 0])], stuck())]
    #[case::one_still_runs(vec![done(1, [0, 0, 0]), running()], running().current)]
    #[case::one_waits(vec![done(1, [0, 0, 0]), part(Worker::Waiting(None), None)], Worker::Waiting(None))]
    #[case::one_is_not_there(vec![done(1, [0, 0, 0]), part(Worker::Absent, None)], Worker::Absent)]
    #[case::all_have_ended(vec![done(1, [0, 0, 0]), done(2, [0, 0, 0])], Worker::Ended)]
    fn the_parts_are_one_worker(#[case] parts: Vec<Workers>, #[case] current: Worker) {
        assert_eq!(join(&parts).current, current);
    }

    #[test]
    fn reports_add_up_once_all_are_there() {
        let whole = join(&[done(3, [1, 0, 0]), done(4, [0, 2, 0])]).last_end.unwrap().report.unwrap();
        assert_eq!(whole.counts.items, ItemCounts { total: 10, done: 7, failed: 3, skipped: 0, deleted: 0 });
        assert_eq!(whole.counts.failures, FailureCounts { retrying: 1, archived: 2, notified: 0 });
        assert_eq!((whole.next_retry_time, whole.contract_version.as_str()), (Some(at(90)), CONTRACT_VERSION));
        let silent = part(Worker::Ended, Some(Ended { cause: Cause::Exited(0), at: None, report: None }));
        assert_eq!(join(&[done(3, [0, 0, 0]), silent]).last_end.unwrap().report, None);
        assert_eq!(join(&[done(3, [0, 0, 0]), killed()]).last_end.unwrap().cause, Cause::OutOfMemory);
    }

    #[test]
    fn each_pod_belongs_to_its_part() {
        let job = serde_json::from_value(json!({
            "metadata": {
                "name": "docs-r1", "namespace": "docs",
                "labels": {"workers.lexigram.dev/owner-uid": "11111111-2222-3333-4444-555555555555"},
            },
            "spec": {"completions": 3, "template": {}},
        }));
        let pod = |index: &str, state: Value| {
            let mut pod = Arc::unwrap_or_clone(pod("docs-r1", 6, "Running", state));
            let annotation = ("batch.kubernetes.io/job-completion-index".to_owned(), index.to_owned());
            pod.metadata.annotations = Some([annotation].into());
            Arc::new(pod)
        };
        let message = report_of("docs-r1", 4, [0, 0, 0]).to_termination_message().unwrap();
        let pods = [
            pod("2", json!({"running": {}})),
            pod("0", json!({"terminated": {"exitCode": 0, "message": message}})),
            pod("1", json!({"waiting": {}})),
        ];
        let run = Run::read(&job.unwrap(), &pods).unwrap();
        let current: Vec<&Worker> = run.shards.iter().map(|workers| &workers.current).collect();
        assert_eq!(current, [&Worker::Ended, &Worker::Waiting(None), &Worker::Running(None)]);
        assert_eq!((run.addresses(), run.ended().len(), run.finisher()), (vec![None], 1, None));
    }

    #[test]
    fn progress_is_that_of_all_parts_or_none() {
        let ended = report_of("docs-r1", 3, [0, 0, 0]);
        let parts = vec![Some(progress_of("docs-r1", 5, 10)), Some(progress_of("docs-r1", 1, 10))];
        let whole = progress(parts, &[&ended]).unwrap();
        assert_eq!((whole.counts.items.total, whole.counts.items.done), (23, 9));
        assert_eq!(progress(vec![Some(progress_of("docs-r1", 5, 10)), None], &[]), None);
        assert_eq!(progress(Vec::new(), &[&ended]), None);
    }
}
