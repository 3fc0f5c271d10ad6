//! Which collections of a store a run works on, and going through them. Calls the store.

use globset::{Glob, GlobSet, GlobSetBuilder};
use lexigram_api::contract::BATCH_LEDGER;

use super::failure::TaskFailure;
use crate::store::{StoreError, StoreFuture, Upkeep};

/// Names that a run is told to work on.
#[derive(Debug)]
pub(super) struct Wanted(Option<GlobSet>);

impl Wanted {
    /// These names or globs; all where there are none.
    pub(super) fn new(globs: &[String]) -> Result<Self, StoreError> {
        if globs.is_empty() {
            return Ok(Self(None));
        }
        let invalid = |error: globset::Error| StoreError::Setting {
            field: "spec.collections",
            problem: format!("holds what is no name and no glob: {error}"),
        };
        let mut set = GlobSetBuilder::new();
        for glob in globs {
            set.add(Glob::new(glob).map_err(invalid)?);
        }
        Ok(Self(Some(set.build().map_err(invalid)?)))
    }

    fn takes(&self, collection: &str) -> bool {
        self.0.as_ref().is_none_or(|globs| globs.is_match(collection) && collection != BATCH_LEDGER)
    }

    /// The collections of a store that are wanted; the ledger of batches is among them where all are.
    pub(super) async fn of(&self, store: &dyn Upkeep) -> Result<Vec<String>, StoreError> {
        let mut collections = store.collections().await?;
        collections.retain(|collection| self.takes(collection));
        Ok(collections)
    }

    /// As [`Self::of`], those only that hold vectors.
    pub(super) async fn filled(&self, store: &dyn Upkeep) -> Result<Vec<String>, StoreError> {
        let mut collections = self.of(store).await?;
        collections.retain(|collection| collection != BATCH_LEDGER);
        Ok(collections)
    }
}

/// What came of going through collections.
pub(super) struct Each<T> {
    pub(super) done: Vec<T>,
    pub(super) failure: Option<TaskFailure>,
}

/// Does something with each collection. One that it cannot be done with does not keep it from the others.
pub(super) async fn each<'a, T>(
    collections: &'a [String],
    mut work: impl FnMut(&'a str) -> StoreFuture<'a, T>,
) -> Each<T> {
    let (mut done, mut errors) = (Vec::new(), Vec::new());
    for collection in collections {
        match work(collection).await {
            Ok(result) => done.push(result),
            Err(error) => {
                tracing::warn!(collection, "{error}");
                errors.push((collection.clone(), error));
            }
        }
    }
    let (others, failed) = (done.len(), errors.len());
    let failure = errors.into_iter().next();
    let failure =
        failure.map(|(collection, error)| TaskFailure::Collection { collection, error, done: others, failed });
    Each { done, failure }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::all(&[], "docs", true)]
    #[case::all_with_the_ledger(&[], "_batches", true)]
    #[case::a_name(&["docs"], "docs", true)]
    #[case::another_name(&["docs"], "docs2", false)]
    #[case::a_glob(&["other", "team-*"], "team-a", true)]
    #[case::a_glob_without_the_ledger(&["*"], "_batches", false)]
    fn takes(#[case] globs: &[&str], #[case] collection: &str, #[case] taken: bool) {
        let globs: Vec<String> = globs.iter().map(ToString::to_string).collect();
        assert_eq!(Wanted::new(&globs).unwrap().takes(collection), taken);
    }

    #[test]
    fn what_is_no_glob_is_named() {
        let error = Wanted::new(&["[a".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("spec.collections holds what is no name and no glob"), "{error}");
    }
}
