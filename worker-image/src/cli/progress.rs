//! Progress for a person: a bar on a terminal, plain lines elsewhere. Writes standard error.

use std::{
    io::{IsTerminal, Write, stderr},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};
use lexigram_api::contract::{Phase, Progress};

use crate::report::Tracker;

/// How often a bar is drawn.
const BAR_INTERVAL: Duration = Duration::from_millis(100);
/// How often a line is written.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows the progress of a run over `items` until it is dropped.
pub(super) async fn show(tracker: &Tracker, items: &str) -> std::convert::Infallible {
    match stderr().is_terminal() {
        true => bar(tracker, items).await,
        false => lines(tracker, items).await,
    }
}

async fn bar(tracker: &Tracker, items: &str) -> std::convert::Infallible {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template(&format!("{{bar:30}} {{pos}}/{{len}} {items}, {{msg}}"));
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut interval = tokio::time::interval(BAR_INTERVAL);
    // the bar leaves no trace: the summary says more
    let _cleared = Cleared(&bar);
    loop {
        interval.tick().await;
        let progress = tracker.progress();
        bar.set_length(u64::from(progress.counts.items.total.unsigned_abs()));
        bar.set_position(u64::from(progress.counts.items.processed().unsigned_abs()));
        bar.set_message(words(&progress));
    }
}

struct Cleared<'a>(&'a ProgressBar);

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn lines(tracker: &Tracker, items: &str) -> std::convert::Infallible {
    let start = tokio::time::Instant::now() + LINE_INTERVAL;
    let mut interval = tokio::time::interval_at(start, LINE_INTERVAL);
    loop {
        interval.tick().await;
        let progress = tracker.progress();
        let (processed, total) = (progress.counts.items.processed(), progress.counts.items.total);
        let _unwritable = writeln!(stderr(), "{processed}/{total} {items}, {}", words(&progress));
    }
}

fn words(progress: &Progress) -> String {
    match progress.phase {
        Phase::Starting => "starting".to_owned(),
        Phase::Rebuilding => "embedding the collection anew for this model".to_owned(),
        Phase::Listing => "listing".to_owned(),
        Phase::Working => format!("{} chunks, {} failed", progress.counts.chunks, progress.counts.items.failed),
        Phase::Finishing => "finishing".to_owned(),
    }
}
