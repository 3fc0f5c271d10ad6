//! `CacheCleanup`: the embedding cache keeps within its bounds, and files of dead runs go. Calls the store.

use jiff::{SignedDuration, Timestamp};
use lexigram_api::maintenance::CacheCleanup;

use super::{
    Outcome,
    collections::each,
    failure::TaskFailure,
    words::{bytes, count},
};
use crate::store::{CacheBounds, CacheCleaned, Upkeep, model_number};

const MEBIBYTE: i64 = 1024 * 1024;

pub(super) async fn clean(store: &dyn Upkeep, settings: &CacheCleanup) -> Result<Outcome, TaskFailure> {
    let files = store.remove_temporary().await?;
    let (models, unknown) = if settings.remove_unused_models { models(store).await? } else { (None, None) };
    let age = SignedDuration::from_secs(settings.max_age_seconds.into());
    let bounds = CacheBounds {
        oldest: Timestamp::now().checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH),
        most_bytes: i64::from(settings.max_mebibytes) * MEBIBYTE,
        models,
    };
    let CacheCleaned { by_age, by_model, by_size, bytes_before, bytes_after, left } =
        store.clean_cache(&bounds).await?;
    let vectors = by_age + by_model + by_size;
    let mut message = format!(
        "{} removed ({by_age} by age, {by_model} of models that no collection uses, {by_size} by size), and {}; the cache \
         took {} before, {} after",
        count(vectors, "vector", "vectors"),
        count(files, "temporary file", "temporary files"),
        bytes(bytes_before),
        bytes(bytes_after)
    );
    for left in left.iter().chain(&unknown) {
        message += &format!("; {left}");
    }
    Ok(Outcome {
        items: vectors + files,
        bytes_freed: (bytes_before - bytes_after).max(0),
        message,
        ..Outcome::default()
    })
}

/// The models that collections are filled with, of all of the store. None, and why, if that is not known of one.
async fn models(store: &dyn Upkeep) -> Result<(Option<Vec<i64>>, Option<String>), TaskFailure> {
    let collections = store.collections().await?;
    let each = each(&collections, |collection| store.models(collection)).await;
    Ok(match each.failure {
        None => (Some(each.done.iter().flatten().map(|model| model_number(model)).collect()), None),
        Some(failure) => {
            (None, Some(format!("which models are in use is not known, so that none was removed: {failure}")))
        }
    })
}
