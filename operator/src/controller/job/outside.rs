//! What others are told of a pass: metrics, and messages for the webhook. Hands over, and never waits.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    context::Context,
    kind::{JobKind, status_of},
    observe::Observation,
    plan::{Plan, Start},
    recovery::{dead_letters::reported, notification},
};
use crate::{
    controller::{
        notice::{self, Notice},
        runs::Run,
    },
    names::RunNumber,
    queue::Key,
};

impl<K: JobKind> Context<K> {
    /// Has the message that the job's status names delivered; says how far it has come, under its id.
    pub(super) fn post(&self, job: &K, now: Timestamp) -> Option<Notice> {
        notice::post(&self.shared, &notice::subject(K::KIND, job), &notification::story(job)?, now)
    }

    /// Tells the metrics who is at work, and what runs came to that have ended.
    pub(super) fn count(&self, job: &K, key: &Key, seen: &Observation, now: Timestamp) {
        let metrics = &self.shared.metrics;
        metrics.at_work(K::KIND, key, seen.all().map(Run::at_work).sum());
        for run in self.counted.take(key, status_of(job), seen, now).into_iter().filter_map(Run::ended_run) {
            metrics.run_ended(K::KIND, &run);
        }
    }

    /// Tells the metrics what a pass has done and seen, once its status is written: each fact once.
    pub(super) fn measure(
        &self,
        job: &K,
        key: &Key,
        seen: &Observation,
        (plan, created): (&Plan, bool),
        lasted: Duration,
        now: Timestamp,
    ) {
        let metrics = &self.shared.metrics;
        let before = status_of(job).and_then(|status| status.dead_letters.as_ref());
        if let (Plan::Start(Start { number: RunNumber::Retry(_), .. }), true) = (plan, created) {
            let due = before.and_then(|dead| dead.next_retry_time.as_ref()).map_or(now, |time| time.0);
            let lag = Duration::try_from(now.duration_since(due)).unwrap_or_default();
            metrics.retry_started(K::KIND, lag, lasted);
        }
        let newest = reported(seen).filter(|run| before.and_then(|dead| dead.reported_run.as_ref()) != Some(&run.job));
        if let Some(run) = newest.filter(|run| matches!(run.number, RunNumber::Retry(_)))
            && let Some(report) = run.last_report()
        {
            metrics.retried(K::KIND, report);
        }
        match seen.tally() {
            Some(tally) => {
                metrics.dead_letters(K::KIND, key, &tally.dead.categories, tally.dead.oldest_failure_time);
            }
            // a job that is over and whose runs have gone is known by its status
            None => {
                let categories = before.map_or(&[][..], |dead| &dead.by_category);
                let oldest = before.and_then(|dead| dead.oldest_failure_time.as_ref()).map(|time| time.0);
                metrics.dead_letters(K::KIND, key, categories, oldest);
            }
        }
    }
}
