//! What a person asks the operator for: annotations with a time. [`ask`] writes them, the rest does no I/O.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use lexigram_api::{
    annotation::{ARCHIVE, ARCHIVE_CATEGORIES, ARCHIVE_IDS, MOST_IDS, RETRY, RETRY_CATEGORIES, RETRY_IDS, RUN},
    failure::FailureCategory,
};
use serde_json::{Value, json};

use crate::{cluster::Cluster, error::PluginError, kind::Target, objects};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Another run.
    Run,
    /// Dead letters are tried again.
    Retry,
    /// Dead letters are given up.
    Archive,
}

/// Which dead letters are meant: all where it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those of these categories.
    pub categories: Vec<FailureCategory>,
    /// Those of these names.
    pub ids: Vec<String>,
}

impl Wish {
    /// The annotation with the time.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Run => RUN,
            Self::Retry => RETRY,
            Self::Archive => ARCHIVE,
        }
    }

    const fn filters(self) -> Option<[&'static str; 2]> {
        match self {
            Self::Run => None,
            Self::Retry => Some([RETRY_CATEGORIES, RETRY_IDS]),
            Self::Archive => Some([ARCHIVE_CATEGORIES, ARCHIVE_IDS]),
        }
    }
}

/// The annotations of a request at `now`. A filter that is not given is taken away: one of an earlier request would hold
/// for this one too.
fn annotations(
    wish: Wish,
    selection: &Selection,
    now: Timestamp,
) -> Result<BTreeMap<&'static str, Value>, PluginError> {
    if selection.ids.len() > MOST_IDS {
        return Err(PluginError::Usage(format!(
            "{} names are too many: a request takes {MOST_IDS}; leave --id out, or use --category",
            selection.ids.len()
        )));
    }
    let mut annotations = BTreeMap::from([(wish.key(), json!(now.to_string()))]);
    if let Some([categories, ids]) = wish.filters() {
        let names: Vec<&str> = selection.categories.iter().map(|category| category.as_str()).collect();
        annotations.insert(categories, given(!names.is_empty(), names.join(",")));
        annotations.insert(ids, given(!selection.ids.is_empty(), serde_json::to_string(&selection.ids)?));
    }
    Ok(annotations)
}

fn given(is_given: bool, value: String) -> Value {
    if is_given { Value::String(value) } else { Value::Null }
}

/// Asks for something, and returns the time by which the request is known.
pub async fn ask(
    cluster: &Cluster,
    target: &Target,
    wish: Wish,
    selection: &Selection,
) -> Result<Timestamp, PluginError> {
    // to the second, as the names of runs have it
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
    let patch = json!({"metadata": {"annotations": annotations(wish, selection, now)?}});
    let parameters = PatchParams { field_manager: Some("kubectl-lexigram".to_owned()), ..Default::default() };
    let patched =
        objects::api(cluster, target.kind, false).patch(&target.name, &parameters, &Patch::Merge(patch)).await;
    match patched.map_err(PluginError::from) {
        Ok(_) => Ok(now),
        Err(error) if error.is_not_found() => Err(objects::not_found(cluster, target)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotations_of(wish: Wish, categories: &[FailureCategory], ids: &[&str]) -> Value {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let selection = Selection { categories: categories.to_vec(), ids };
        json!(annotations(wish, &selection, "2027-01-15T08:00:00Z".parse().unwrap()).unwrap())
    }

    #[test]
    fn a_run_has_a_time_only() {
        let expected = json!({"workers.lexigram.dev/run": "2027-01-15T08:00:00Z"});
        assert_eq!(annotations_of(Wish::Run, &[], &[]), expected);
    }

    #[test]
    fn filters_of_an_earlier_request_are_taken_away() {
        let expected = json!({
            "workers.lexigram.dev/retry": "2027-01-15T08:00:00Z",
            "workers.lexigram.dev/retry-categories": null,
            "workers.lexigram.dev/retry-ids": null,
        });
        assert_eq!(annotations_of(Wish::Retry, &[], &[]), expected);
    }

    #[test]
    fn categories_are_a_list_and_names_are_json() {
        let expected = json!({
            "workers.lexigram.dev/archive": "2027-01-15T08:00:00Z",
            "workers.lexigram.dev/archive-categories": "Timeout,InvalidInput",
            "workers.lexigram.dev/archive-ids": r#"["a,b.pdf","c.pdf"]"#,
        });
        let categories = [FailureCategory::Timeout, FailureCategory::InvalidInput];
        assert_eq!(annotations_of(Wish::Archive, &categories, &["a,b.pdf", "c.pdf"]), expected);
    }

    #[test]
    fn more_names_than_a_request_takes_are_refused() {
        let selection = Selection { categories: Vec::new(), ids: vec!["a".to_owned(); 1001] };
        let error = annotations(Wish::Retry, &selection, Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().starts_with("1001 names are too many: a request takes 1000"), "{error}");
    }
}
