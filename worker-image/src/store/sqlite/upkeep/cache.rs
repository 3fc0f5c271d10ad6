//! The bounds of the embedding cache in SQLite. Reads and writes its file.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, params};
use tokio_util::sync::CancellationToken;

use super::{
    super::super::{
        StoreError,
        upkeep::{CacheBounds, CacheCleaned},
    },
    files,
    room::{Allowance, checkpoint, free, give_back},
};

/// Vectors that go in one write, so that nobody waits long.
const AT_ONCE: i64 = 512;
/// How long writing the file anew may keep others waiting: less than they wait before they give the cache up.
const BLOCK: Duration = Duration::from_secs(4);

pub(super) fn clean(
    connection: &mut Connection,
    path: &Path,
    bounds: &CacheBounds,
    stop: &CancellationToken,
) -> Result<CacheCleaned, StoreError> {
    let CacheBounds { oldest, most_bytes, models } = bounds;
    let mut cleaned = CacheCleaned { bytes_before: files::bytes(path), ..CacheCleaned::default() };
    cleaned.by_age = forget(connection, &format!("used < {}", oldest.as_second()))?;
    if let Some(models) = models {
        let models = models.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        // of a vector of an older version the model is not known
        cleaned.by_model = forget(connection, &format!("model NOT IN ({models})"))?;
    }
    loop {
        let (unused, all) = free(connection)?;
        let gone = if all - unused > *most_bytes { forget_some(connection, "true")? } else { 0 };
        if gone == 0 {
            break;
        }
        cleaned.by_size += gone;
    }
    if free(connection)?.0 > 0 {
        cleaned.left = give_back(connection, stop, &mut Allowance(BLOCK))?;
    }
    checkpoint(connection)?;
    cleaned.bytes_after = files::bytes(path);
    Ok(cleaned)
}

/// Forgets what matches, and returns how many that were.
fn forget(connection: &Connection, matching: &str) -> Result<i64, StoreError> {
    let mut gone = 0;
    loop {
        match forget_some(connection, matching)? {
            0 => return Ok(gone),
            some => gone += some,
        }
    }
}

/// Forgets some of what matches, those first that were used longest ago.
fn forget_some(connection: &Connection, matching: &str) -> Result<i64, StoreError> {
    let some = format!(
        "DELETE FROM vectors WHERE id IN (SELECT id FROM vectors WHERE {matching} ORDER BY used, model, id LIMIT ?1)"
    );
    Ok(i64::try_from(connection.execute(&some, params![AT_ONCE])?).unwrap_or(i64::MAX))
}
