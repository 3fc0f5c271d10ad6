//! Dead letters in Postgres: counted, listed, and sent another way by hand. Reads and writes the database.

use std::pin::pin;

use futures::TryStreamExt;
use jiff::Timestamp;
use lexigram_api::{
    contract::{DeadLetters, OpenCircuit, Selection},
    failure::{FailureCategory, Stage},
};
use tokio_postgres::types::ToSql;

use super::{
    super::{
        CIRCUIT_OPEN, LedgerRow, RunKey, Shard, StoreError, Wanted,
        columns::{NOTHING_WRITTEN, action_of, category_of},
        dead_letters::Group,
    },
    ledger::{self, mine},
    rows::{columns, ledger_row},
    session::Tx,
};

pub(super) async fn figures(tx: &Tx<'_>, scope: &str) -> Result<DeadLetters, StoreError> {
    let groups = "SELECT action, category, sum(weight)::bigint, min(first_failure) FROM documents
         WHERE scope = $1 AND action IS NOT NULL GROUP BY action, category";
    let rows = tx.query(groups, &[&scope]).await?;
    let groups = rows.iter().map(|row| Group {
        action: action_of(row.get(0)),
        category: category_of(row.get(1)),
        count: i32::try_from(row.get::<_, i64>(2)).unwrap_or(i32::MAX),
        first_failure: row.get(3),
    });
    Ok(Group::sum(groups))
}

pub(super) async fn rows(
    tx: &Tx<'_>,
    wanted: &Wanted,
    after: i64,
    limit: usize,
) -> Result<Vec<(i64, LedgerRow)>, StoreError> {
    let sql = format!(
        "SELECT id, {} FROM documents
         WHERE id > $1 AND state IN ('Failed', 'Archived') AND ($2::text IS NULL OR scope = $2) ORDER BY id",
        columns()
    );
    let statement = tx.raw().prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 2] = [&after, &wanted.scope];
    let mut rows = pin!(tx.raw().query_raw(&statement, values).await?);
    let mut found = Vec::new();
    while let Some(row) = rows.try_next().await? {
        let (id, row) = (row.get(0), ledger_row(&row, 1));
        if wanted.takes_row(&row) {
            found.push((id, row));
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// Items that a person wants to be tried again belong to the new run and have all their attempts. Until they are claimed
/// they are due: whatever becomes of the run, they are not forgotten.
pub(super) async fn begin_again(
    tx: &Tx<'_>,
    run: &RunKey,
    selection: &Selection,
    failed_before: Timestamp,
    shard: Shard,
) -> Result<(), StoreError> {
    // a run is for its first process only: its items stay its own
    if ledger::insert_run(tx, run, shard).await? {
        retry(tx, &Wanted::of_run(run, selection, failed_before), failed_before, Some(run), shard).await?;
        ledger::end_listing(tx, run, shard).await?;
    }
    Ok(())
}

/// Items that a person gives up belong to the new run, in which they have failed.
pub(super) async fn begin_archive(
    tx: &Tx<'_>,
    run: &RunKey,
    selection: &Selection,
    failed_before: Timestamp,
    shard: Shard,
) -> Result<(), StoreError> {
    if ledger::insert_run(tx, run, shard).await? {
        archive(tx, &Wanted::of_run(run, selection, failed_before), Some(run), shard).await?;
        ledger::end_listing(tx, run, shard).await?;
    }
    Ok(())
}

pub(super) async fn retry(
    tx: &Tx<'_>,
    wanted: &Wanted,
    due: Timestamp,
    run: Option<&RunKey>,
    shard: Shard,
) -> Result<i64, StoreError> {
    let (found, items) = select(tx, wanted, "'Failed', 'Archived'", shard).await?;
    let make_due = "UPDATE documents SET state = 'Failed', action = 'Retry', attempts = 0, next_attempt = $2
        WHERE id = ANY($1)";
    tx.execute(make_due, &[&found, &due]).await?;
    give_to(tx, run, &found, None).await?;
    Ok(items)
}

pub(super) async fn archive(
    tx: &Tx<'_>,
    wanted: &Wanted,
    run: Option<&RunKey>,
    shard: Shard,
) -> Result<i64, StoreError> {
    let (found, items) = select(tx, wanted, "'Failed'", shard).await?;
    let give_up = "UPDATE documents SET state = 'Archived', action = 'Archive', next_attempt = NULL, suspect = false
        WHERE id = ANY($1)";
    tx.execute(give_up, &[&found]).await?;
    give_to(tx, run, &found, Some("Failed")).await?;
    Ok(items)
}

/// The rows that are wanted and in one of these states, and how many items they stand for.
async fn select(tx: &Tx<'_>, wanted: &Wanted, states: &str, shard: Shard) -> Result<(Vec<i64>, i64), StoreError> {
    let sql = format!(
        "SELECT id, name, category, weight FROM documents
         WHERE action IS NOT NULL AND state IN ({states}) AND ($1::text IS NULL OR scope = $1)
             AND ($2::timestamptz IS NULL OR last_failure <= $2) AND {}",
        mine(shard)
    );
    let statement = tx.raw().prepare_cached(&sql).await?;
    let values: [&(dyn ToSql + Sync); 2] = [&wanted.scope, &wanted.failed_before];
    let mut rows = pin!(tx.raw().query_raw(&statement, values).await?);
    let (mut found, mut items) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        if wanted.takes(row.get(1), category_of(row.get(2))) {
            found.push(row.get(0));
            items += row.get::<_, i64>(3);
        }
    }
    Ok((found, items))
}

async fn give_to(tx: &Tx<'_>, run: Option<&RunKey>, rows: &[i64], outcome: Option<&str>) -> Result<(), StoreError> {
    let Some(run) = run else { return Ok(()) };
    let give = format!("UPDATE documents SET run = $2, outcome = $3, {NOTHING_WRITTEN} WHERE id = ANY($1)");
    tx.execute(&give, &[&rows, &run.run, &outcome]).await?;
    Ok(())
}

/// What the run has not come to waits for the circuit, with as many attempts as it had.
pub(super) async fn postpone(
    tx: &Tx<'_>,
    run: &RunKey,
    circuit: &OpenCircuit,
    now: Timestamp,
    shard: Shard,
) -> Result<(), StoreError> {
    let sql = format!(
        "UPDATE documents SET state = 'Failed', outcome = 'Failed', stage = coalesce(stage, $3),
             category = coalesce(category, $4), reason = $5, message = $6, action = 'Retry',
             first_failure = coalesce(first_failure, $7), last_failure = coalesce(last_failure, $7), next_attempt = $8
         WHERE scope = $1 AND run = $2 AND outcome IS NULL AND {}",
        mine(shard)
    );
    let values: [&(dyn ToSql + Sync); 8] = [
        &run.scope,
        &run.run,
        &Stage::Embed.as_str(),
        &FailureCategory::Transient.as_str(),
        &CIRCUIT_OPEN,
        &circuit.message,
        &now,
        &circuit.until,
    ];
    tx.execute(&sql, &values).await?;
    Ok(())
}
