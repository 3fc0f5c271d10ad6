//! Annotations by which a person asks for another run, or for dead letters to be tried again or given up. No I/O.
//!
//! The Job that does it carries the same annotations: that is the record by which one value acts once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use lexigram_api::{annotation::MOST_IDS, contract::Selection, failure::FailureCategory, resource::JobStatus};

use crate::{
    controller::job::decision::Take,
    names::{ARCHIVE, ARCHIVE_CATEGORIES, ARCHIVE_IDS, RETRY, RETRY_CATEGORIES, RETRY_IDS, RUN},
};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Dead letters are tried again.
    Retry,
    /// Dead letters are given up.
    Archive,
    /// Everything is run again.
    Run,
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked for.
    pub wish: Wish,
    /// The annotation's value as it was written: a new one is a new request.
    pub value: String,
    /// The time that it says; of two requests the earlier comes first.
    pub time: Timestamp,
    /// For which dead letters.
    pub selection: Selection,
    /// The annotations that make it up.
    pub annotations: BTreeMap<String, String>,
}

/// An annotation that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("annotation {annotation}: '{value}' is no {expected}; nothing is done until it is corrected")]
pub struct BadRequest {
    /// Its key.
    pub annotation: &'static str,
    /// What it holds.
    pub value: String,
    /// What it should hold.
    pub expected: String,
}

impl Wish {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Retry, Self::Archive, Self::Run];

    /// The annotation with its time.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Retry => RETRY,
            Self::Archive => ARCHIVE,
            Self::Run => RUN,
        }
    }

    /// The annotations with its categories and names; none for a run, which takes everything.
    const fn filters(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Retry => Some([RETRY_CATEGORIES, RETRY_IDS]),
            Self::Archive => Some([ARCHIVE_CATEGORIES, ARCHIVE_IDS]),
            Self::Run => None,
        }
    }

    /// The value of its annotation that was acted on last, by an object's status.
    #[must_use]
    pub fn last(self, status: &JobStatus) -> Option<&String> {
        let dead = status.dead_letters.as_ref();
        match self {
            Self::Retry => dead?.last_retry_request.as_ref(),
            Self::Archive => dead?.last_archive_request.as_ref(),
            Self::Run => status.last_run_request.as_ref(),
        }
    }
}

impl Request {
    /// What a run takes that meets the request at `now`.
    #[must_use]
    pub fn take(&self, now: Timestamp) -> Take {
        match self.wish {
            Wish::Retry => Take::Again(self.selection.clone(), now),
            Wish::Archive => Take::GiveUp(self.selection.clone(), now),
            Wish::Run => Take::Everything,
        }
    }
}

/// The request of that sort that an object, or a Job, carries.
///
/// # Errors
/// Names the annotation and what it should hold.
pub fn read(wish: Wish, annotations: &BTreeMap<String, String>) -> Result<Option<Request>, BadRequest> {
    let time_key = wish.key();
    let Some(value) = annotations.get(time_key) else { return Ok(None) };
    let time: Timestamp = value.trim().parse().map_err(|_| {
        bad(time_key, value, "time such as 2027-01-15T08:00:00Z (date --utc +%FT%TZ writes one)".to_owned())
    })?;
    let selection = wish.filters().map(|keys| selection(keys, annotations)).transpose()?.unwrap_or_default();
    let keys = [time_key].into_iter().chain(wish.filters().into_iter().flatten());
    let annotations = keys.filter_map(|key| Some((key.to_owned(), annotations.get(key)?.clone())));
    Ok(Some(Request { wish, value: value.clone(), time, selection, annotations: annotations.collect() }))
}

fn bad(annotation: &'static str, value: &str, expected: String) -> BadRequest {
    BadRequest { annotation, value: value.chars().take(100).collect(), expected }
}

/// The dead letters that the two annotations leave of all.
fn selection(
    [categories_key, ids_key]: [&'static str; 2],
    annotations: &BTreeMap<String, String>,
) -> Result<Selection, BadRequest> {
    let mut categories = Vec::new();
    for name in annotations.get(categories_key).into_iter().flat_map(|list| list.split(',')).map(str::trim) {
        let known = FailureCategory::ALL.map(FailureCategory::as_str).join(", ");
        let category = FailureCategory::from_name(name);
        categories.push(category.ok_or_else(|| bad(categories_key, name, format!("category; use {known}")))?);
    }
    let ids = annotations.get(ids_key).map(|list| {
        ids(list).ok_or_else(|| {
            bad(ids_key, list, format!("list of 1 to {MOST_IDS} names; separate them by commas, or write a JSON list"))
        })
    });
    Ok(Selection { categories, ids: ids.transpose()?.unwrap_or_default() })
}

/// Names with commas in them need the JSON list.
fn ids(list: &str) -> Option<Vec<String>> {
    let ids: Vec<String> = if list.trim_start().starts_with('[') {
        serde_json::from_str(list).ok()?
    } else {
        list.split(',').map(|id| id.trim().to_owned()).collect()
    };
    ((1..=MOST_IDS).contains(&ids.len()) && ids.iter().all(|id| !id.is_empty())).then_some(ids)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const TIME: &str = "2027-01-15T08:00:00Z";

    fn of(wish: Wish, pairs: &[(&str, &str)]) -> Result<Option<Request>, String> {
        let annotations = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        read(wish, &annotations).map_err(|error| error.to_string())
    }

    #[rstest]
    #[case::all(&[(RETRY, TIME)], &[], &[])]
    #[case::categories(&[(RETRY, TIME), (RETRY_CATEGORIES, "Timeout, Transient")],
        &[FailureCategory::Timeout, FailureCategory::Transient], &[])]
    #[case::ids(&[(RETRY, TIME), (RETRY_IDS, "a.pdf, b.pdf")], &[], &["a.pdf", "b.pdf"])]
    #[case::ids_with_commas(&[(RETRY, TIME), (RETRY_IDS, r#"["a,b.pdf"]"#)], &[], &["a,b.pdf"])]
    #[case::not_the_other(&[(RETRY, TIME), (ARCHIVE_CATEGORIES, "Timeout")], &[], &[])]
    fn selections(#[case] pairs: &[(&str, &str)], #[case] categories: &[FailureCategory], #[case] ids: &[&str]) {
        let request = of(Wish::Retry, pairs).unwrap().unwrap();
        assert_eq!((request.selection.categories.as_slice(), request.value.as_str()), (categories, TIME));
        assert_eq!(request.selection.ids, ids);
        assert_eq!(read(Wish::Retry, &request.annotations).unwrap(), Some(request), "a Job carries the same");
    }

    #[rstest]
    #[case::no_time(Wish::Retry, &[(RETRY, "now")], "annotation workers.lexigram.dev/retry: 'now' is no time such as 2027-")]
    #[case::category(Wish::Archive, &[(ARCHIVE, TIME), (ARCHIVE_CATEGORIES, "Timeout,Slow")],
        "annotation workers.lexigram.dev/archive-categories: 'Slow' is no category; use Transient, RateLimited")]
    #[case::no_ids(Wish::Retry, &[(RETRY, TIME), (RETRY_IDS, "")], "annotation workers.lexigram.dev/retry-ids: '' is no list")]
    #[case::no_json(Wish::Retry, &[(RETRY, TIME), (RETRY_IDS, "[\"a\"")], "annotation workers.lexigram.dev/retry-ids: '[\"a\"'")]
    fn bad_ones_name_the_annotation_and_the_fix(
        #[case] wish: Wish,
        #[case] pairs: &[(&str, &str)],
        #[case] message: &str,
    ) {
        let error = of(wish, pairs).unwrap_err();
        assert!(error.starts_with(message), "{error}");
    }

    #[test]
    fn a_run_takes_everything_whatever_stands_beside_it() {
        let request = of(Wish::Run, &[(RUN, TIME), (RETRY_CATEGORIES, "Slow")]).unwrap().unwrap();
        assert_eq!((&request.selection, request.take(request.time)), (&Selection::default(), Take::Everything));
        assert_eq!(request.annotations.into_iter().collect::<Vec<_>>(), [(RUN.to_owned(), TIME.to_owned())]);
    }

    #[test]
    fn nothing_is_asked_for_without_a_time() {
        assert_eq!(of(Wish::Retry, &[(RETRY_CATEGORIES, "Timeout")]), Ok(None));
    }
}
