//! The ledger in Postgres: which documents a run has, where each one stands. Reads and writes the database.

use jiff::Timestamp;
use lexigram_api::contract::{Counts, DeadLetters, FailureCounts, ItemCounts};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;

use super::{
    super::{
        CIRCUIT_OPEN, DocumentState, FailedAttempt, Listing, Outcome, RunKey, RunSummary, Shard, StoreError, WorkItem,
        columns::{KEPT_RUNS, NO_FAILURE, NOTHING_WRITTEN},
    },
    rows::newest_failures,
    session::Tx,
};
use crate::source::Listed;

/// Columns of a [`WorkItem`], in the order that [`work_item`] reads.
pub(super) const ITEM: &str = "id, name, attempts, revision, suspect";

/// The number of a shard in the table of runs.
pub(super) fn number(shard: Shard) -> i32 {
    i32::try_from(shard.index).unwrap_or(i32::MAX)
}

/// The condition that a row is this shard's.
pub(super) fn mine(shard: Shard) -> String {
    format!("bucket % {} = {}", shard.count, shard.index)
}

/// The number by which rows are spread over shards: the same for a name, whatever the number of shards.
pub(super) fn bucket(name: &str) -> i32 {
    let hash = Sha256::digest(name);
    i32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) & i32::MAX
}

/// Text as Postgres can hold it: it has no zero byte.
pub(super) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The first shard lists the source; the others wait until it has.
pub(super) async fn begin_full(tx: &Tx<'_>, run: &RunKey, shard: Shard) -> Result<Listing, StoreError> {
    insert_run(tx, run, shard).await?;
    let listed = "SELECT EXISTS (SELECT 1 FROM runs WHERE scope = $1 AND run = $2 AND shard = 0 AND listed)";
    Ok(match tx.query_one(listed, &[&run.scope, &run.run]).await?.get(0) {
        true => Listing::Complete,
        false if shard.index == 0 => Listing::Open,
        false => Listing::Awaited,
    })
}

/// Documents keep their state and failure until they are claimed: a retry that never comes to that stays due.
pub(super) async fn begin_retry(tx: &Tx<'_>, run: &RunKey, due: Timestamp, shard: Shard) -> Result<(), StoreError> {
    if insert_run(tx, run, shard).await? {
        let take = format!(
            "UPDATE documents SET run = $2, outcome = NULL, {NOTHING_WRITTEN}
             WHERE scope = $1 AND state = 'Failed' AND action = 'Retry' AND next_attempt <= $3 AND {}",
            mine(shard)
        );
        tx.execute(&take, &[&run.scope, &run.run, &due]).await?;
        end_listing(tx, run, shard).await?;
    }
    Ok(())
}

/// Notes the run, forgets the oldest ones, and says whether it is new to this shard.
pub(super) async fn insert_run(tx: &Tx<'_>, run: &RunKey, shard: Shard) -> Result<bool, StoreError> {
    let insert = "INSERT INTO runs (scope, run, shard) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    let new = tx.execute(insert, &[&run.scope, &run.run, &number(shard)]).await? == 1;
    if new {
        let forget = "DELETE FROM runs WHERE scope = $1 AND run NOT IN
            (SELECT run FROM runs WHERE scope = $1 GROUP BY run ORDER BY min(begun) DESC LIMIT $2)";
        tx.execute(forget, &[&run.scope, &KEPT_RUNS]).await?;
    }
    Ok(new)
}

pub(super) async fn add_listed(tx: &Tx<'_>, run: &RunKey, listed: &[Listed], pipeline: &str) -> Result<(), StoreError> {
    let names: Vec<String> = listed.iter().map(|document| text(&document.name)).collect();
    let versions: Vec<Option<String>> = listed.iter().map(|document| document.version.as_deref().map(text)).collect();
    let buckets: Vec<i32> = names.iter().map(|name| bucket(name)).collect();
    // a name that the page has twice counts once, as it came last
    let page = "WITH page AS (SELECT DISTINCT ON (name) name, version, bucket
             FROM unnest($3::text[], $4::text[], $5::int[]) WITH ORDINALITY AS listed (name, version, bucket, position)
             ORDER BY name, position DESC)";
    // Listed again within the run, by a second process: nothing changes.
    let of_this_run = format!(
        "{page} UPDATE documents SET listed_version = page.version FROM page
         WHERE scope = $1 AND documents.name = page.name AND run = $2"
    );
    tx.execute(&of_this_run, &[&run.scope, &run.run, &names, &versions, &buckets]).await?;
    // Done in this very version by this very pipeline: its content needs no look.
    let unchanged = format!(
        "{page} UPDATE documents SET run = $2, outcome = 'Skipped', stored = clock_timestamp(), {NOTHING_WRITTEN}
         FROM page
         WHERE scope = $1 AND documents.name = page.name AND run <> $2 AND state = 'Done'
             AND documents.version = page.version AND pipeline = $6"
    );
    tx.execute(&unchanged, &[&run.scope, &run.run, &names, &versions, &buckets, &pipeline]).await?;
    // A new run gives a document all its attempts again; only what may have killed a worker keeps its count.
    let waiting = format!(
        "{page} INSERT INTO documents (scope, name, bucket, state, run, listed_version)
         SELECT $1, name, bucket, 'Pending', $2, version FROM page ORDER BY name
         ON CONFLICT (scope, name) DO UPDATE SET state = 'Pending', run = excluded.run,
             listed_version = excluded.listed_version, outcome = NULL, {NOTHING_WRITTEN},
             attempts = CASE WHEN documents.suspect THEN documents.attempts ELSE 0 END, {NO_FAILURE}
         WHERE documents.run <> excluded.run"
    );
    tx.execute(&waiting, &[&run.scope, &run.run, &names, &versions, &buckets]).await?;
    Ok(())
}

pub(super) async fn end_listing(tx: &Tx<'_>, run: &RunKey, shard: Shard) -> Result<(), StoreError> {
    let end = "UPDATE runs SET listed = true WHERE scope = $1 AND run = $2 AND shard = $3";
    tx.execute(end, &[&run.scope, &run.run, &number(shard)]).await?;
    Ok(())
}

pub(super) async fn interrupted(tx: &Tx<'_>, run: &RunKey, shard: Shard) -> Result<Vec<WorkItem>, StoreError> {
    let sql =
        format!("SELECT {ITEM} FROM documents WHERE scope = $1 AND state = 'InFlight' AND {} ORDER BY id", mine(shard));
    Ok(tx.query(&sql, &[&run.scope]).await?.iter().map(work_item).collect())
}

/// What waits next. Only this process takes rows of its shard, so that choosing and taking may be two steps: the second
/// one can be made twice.
pub(super) async fn next(tx: &Tx<'_>, run: &RunKey, shard: Shard) -> Result<Option<WorkItem>, StoreError> {
    let sql = format!("SELECT {ITEM} FROM documents WHERE {} LIMIT 1", waiting(shard));
    Ok(tx.query_opt(&sql, &[&run.scope, &run.run]).await?.as_ref().map(work_item))
}

/// The rows that wait, in their order.
pub(super) fn waiting(shard: Shard) -> String {
    format!(
        "scope = $1 AND run = $2 AND outcome IS NULL AND state IN ('Pending', 'Failed') AND {}
         ORDER BY suspect, first_failure NULLS FIRST, first_row, id",
        mine(shard)
    )
}

pub(super) async fn take(tx: &Tx<'_>, documents: &[i64]) -> Result<(), StoreError> {
    tx.execute("UPDATE documents SET state = 'InFlight' WHERE id = ANY($1)", &[&documents]).await?;
    Ok(())
}

pub(super) fn work_item(row: &Row) -> WorkItem {
    WorkItem { document: row.get(0), name: row.get(1), attempts: row.get(2), revision: row.get(3), suspect: row.get(4) }
}

pub(super) async fn release(tx: &Tx<'_>, run: &RunKey, shard: Shard) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE documents SET state = CASE WHEN action IS NULL THEN 'Pending' ELSE 'Failed' END
         WHERE scope = $1 AND state = 'InFlight' AND {}",
        mine(shard)
    );
    tx.execute(&sql, &[&run.scope]).await?;
    Ok(())
}

pub(super) async fn skip(tx: &Tx<'_>, document: i64) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE documents SET state = 'Done', outcome = $2, version = listed_version, stored = clock_timestamp(),
             attempts = 0, suspect = false, {NO_FAILURE}
         WHERE id = $1"
    );
    tx.execute(&sql, &[&document, &Outcome::Skipped.as_str()]).await?;
    Ok(())
}

pub(super) async fn suspect(tx: &Tx<'_>, attempt: &FailedAttempt) -> Result<(), StoreError> {
    note_failure(tx, attempt, None, true).await
}

pub(super) async fn give_up(tx: &Tx<'_>, run: &RunKey, attempt: &FailedAttempt) -> Result<(), StoreError> {
    fail(tx, attempt).await?;
    tx.execute("UPDATE documents SET run = $2 WHERE id = $1", &[&attempt.document, &run.run]).await?;
    Ok(())
}

pub(super) async fn fail(tx: &Tx<'_>, attempt: &FailedAttempt) -> Result<(), StoreError> {
    note_failure(tx, attempt, Some(Outcome::Failed), false).await
}

async fn note_failure(
    tx: &Tx<'_>,
    attempt: &FailedAttempt,
    outcome: Option<Outcome>,
    suspect: bool,
) -> Result<(), StoreError> {
    let note = "UPDATE documents SET state = $2, outcome = $3, attempts = $4, stage = $5, category = $6, reason = $7,
             message = $8, action = $9, first_failure = coalesce(first_failure, $10), last_failure = $10,
             next_attempt = $11, suspect = $12
         WHERE id = $1";
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 12] = [
        &attempt.document,
        &DocumentState::after(attempt.verdict.action).as_str(),
        &outcome.map(Outcome::as_str),
        &attempt.attempts,
        &attempt.stage.as_str(),
        &attempt.category.as_str(),
        &attempt.reason,
        &text(&attempt.message),
        &attempt.verdict.action.as_str(),
        &attempt.time,
        &attempt.verdict.next_attempt,
        &suspect,
    ];
    tx.execute(note, &values).await?;
    Ok(())
}

/// Counts of this shard's part of the run, and what the whole source has yet to do.
pub(super) async fn summary(tx: &Tx<'_>, run: &RunKey, shard: Shard) -> Result<RunSummary, StoreError> {
    let index = number(shard);
    let sum = |column: &str, filter: &str| format!("coalesce(sum({column}) FILTER (WHERE {filter}), 0)::bigint");
    let of_outcome = |outcome: &str| sum("weight", &format!("outcome = '{outcome}'"));
    let of_action = |action: &str| sum("weight", &format!("outcome = 'Failed' AND action = '{action}'"));
    let columns = [
        sum("weight", "true"),
        of_outcome("Done"),
        of_outcome("Skipped"),
        of_outcome("Failed"),
        of_action("Retry"),
        of_action("Archive"),
        of_action("Notify"),
        sum("run_chunks", "true"),
        sum("run_tokens", "true"),
        sum("run_bytes", "true"),
        sum("run_cached", "true"),
    ];
    let sql = format!(
        "SELECT {}, coalesce(bool_or(outcome IS NULL AND reason = $3), false),
             coalesce((SELECT deleted FROM runs WHERE scope = $1 AND run = $2 AND shard = $4), 0),
             (SELECT min(next_attempt) FROM documents WHERE scope = $1 AND state = 'Failed' AND action = 'Retry')
         FROM documents WHERE scope = $1 AND run = $2 AND {}",
        columns.join(", "),
        mine(shard)
    );
    let row = tx.query_one(&sql, &[&run.scope, &run.run, &CIRCUIT_OPEN, &index]).await?;
    let number = |column: usize| i32::try_from(row.get::<_, i64>(column)).unwrap_or(i32::MAX);
    Ok(RunSummary {
        counts: Counts {
            items: ItemCounts {
                total: number(0),
                done: number(1),
                skipped: number(2),
                failed: number(3),
                deleted: row.get(12),
            },
            failures: FailureCounts { retrying: number(4), archived: number(5), notified: number(6) },
            chunks: row.get(7),
            tokens: row.get(8),
            bytes: row.get(9),
            cached: row.get(10),
        },
        after_circuit: row.get(11),
        next_retry: row.get(13),
        dead_letters: DeadLetters::default(),
        recent_failures: newest_failures(tx, &run.scope).await?,
    })
}

/// Sources that have rows.
pub(super) async fn scopes(tx: &Tx<'_>) -> Result<Vec<String>, StoreError> {
    let rows = tx.query("SELECT DISTINCT scope FROM documents ORDER BY scope", &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
