//! Dead letters as a person asks for them: which ones are meant, and what can be done with them by hand. No I/O here.

use jiff::Timestamp;
use lexigram_api::{
    contract::{DeadLetters, Selection},
    failure::{FailureAction, FailureCategory},
};

use super::{LedgerRow, RunKey, StoreFuture, printable};

/// How a report marks the end of a name that it has cut.
const CUT: char = '…';

/// Which dead letters are meant: those that satisfy each filter that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Only of this source; of every one where absent.
    pub scope: Option<String>,
    /// Only these categories and names.
    pub selection: Selection,
    /// Only those that failed last at this time or before.
    pub failed_before: Option<Timestamp>,
}

impl Wanted {
    /// What a run of that source was told to take: of what had failed by then.
    pub(super) fn of_run(run: &RunKey, selection: &Selection, failed_before: Timestamp) -> Self {
        Self { scope: Some(run.scope.clone()), selection: selection.clone(), failed_before: Some(failed_before) }
    }

    /// Whether a row of the ledger is one of these, its source aside.
    pub(super) fn takes_row(&self, row: &LedgerRow) -> bool {
        let in_time = |time| self.failed_before.is_none_or(|latest| time <= latest);
        row.failure
            .as_ref()
            .is_some_and(|failure| in_time(failure.last_failure_time) && self.takes(&row.document, failure.category))
    }

    /// Whether the selection takes an item of that name and category.
    #[must_use]
    pub fn takes(&self, name: &str, category: FailureCategory) -> bool {
        let Selection { categories, ids } = &self.selection;
        (categories.is_empty() || categories.contains(&category))
            && (ids.is_empty() || ids.iter().any(|id| is_shown_as(name, id)))
    }
}

/// Whether `id` is what a person sees of the name: as it is, on one line, or cut as a report cuts it.
fn is_shown_as(name: &str, id: &str) -> bool {
    let shown = printable(name);
    name == id || shown == id || id.strip_suffix(CUT).is_some_and(|beginning| shown.starts_with(beginning))
}

/// Dead letters of a source that have action and category in common.
pub(super) struct Group {
    pub(super) action: FailureAction,
    pub(super) category: FailureCategory,
    /// Items that they stand for.
    pub(super) count: i32,
    /// When the first of them failed for the first time.
    pub(super) first_failure: Option<Timestamp>,
}

impl Group {
    /// The figures of a source.
    pub(super) fn sum(groups: impl IntoIterator<Item = Self>) -> DeadLetters {
        let mut figures = DeadLetters::default();
        for Self { action, category, count, first_failure } in groups {
            figures.add(category, action, count);
            // archived ones do not wait
            if let (false, Some(first)) = (action == FailureAction::Archive, first_failure) {
                let oldest = figures.oldest_failure_time.map_or(first, |oldest| oldest.min(first));
                figures.oldest_failure_time = Some(oldest);
            }
        }
        figures
    }
}

/// What a store knows of what failed, whatever run it failed in.
pub trait DeadLetterStore: Send + Sync {
    /// Figures of one source.
    fn dead_letters<'a>(&'a self, scope: &'a str) -> StoreFuture<'a, DeadLetters>;
    /// The next `limit` of those that are wanted, each with its number in the ledger, which follows `after`.
    fn dead_letter_rows<'a>(
        &'a self,
        wanted: &'a Wanted,
        after: i64,
        limit: usize,
    ) -> StoreFuture<'a, Vec<(i64, LedgerRow)>>;
    /// Makes them due at that time with no attempt spent, archived ones too, and returns how many items that were.
    fn retry_dead_letters<'a>(&'a self, wanted: &'a Wanted, due: Timestamp) -> StoreFuture<'a, i64>;
    /// Gives them up, and returns how many items that were; archived ones are not among them.
    fn archive_dead_letters<'a>(&'a self, wanted: &'a Wanted) -> StoreFuture<'a, i64>;
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::everything(&[], &[], true)]
    #[case::its_category(&[FailureCategory::Timeout, FailureCategory::Transient], &[], true)]
    #[case::another_category(&[FailureCategory::Timeout], &[], false)]
    #[case::its_name(&[], &["other", "notes\tof may.md"], true)]
    #[case::as_it_is_shown(&[], &["notes\\tof may.md"], true)]
    #[case::as_it_is_cut(&[], &["notes\\tof…"], true)]
    #[case::cut_differently(&[], &["notes of…"], false)]
    #[case::part_of_a_name(&[], &["notes"], false)]
    #[case::both_have_to_fit(&[FailureCategory::Timeout], &["notes\tof may.md"], false)]
    fn a_selection_takes(#[case] categories: &[FailureCategory], #[case] ids: &[&str], #[case] taken: bool) {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let selection = Selection { categories: categories.to_vec(), ids };
        let wanted = Wanted { selection, ..Wanted::default() };
        assert_eq!(wanted.takes("notes\tof may.md", FailureCategory::Transient), taken);
    }
}
