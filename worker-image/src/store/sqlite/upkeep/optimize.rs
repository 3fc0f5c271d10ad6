//! Room and speed of a collection in SQLite. Reads and writes the database.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use lexigram_api::maintenance::IndexOptimization;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        super::{
            StoreError,
            upkeep::{Condition, Optimized},
        },
        vectors,
    },
    files,
    room::{Allowance, checkpoint, free, give_back, number},
};

/// Neighbours that the measured search asks for.
const NEIGHBOURS: i64 = 10;
/// Pages of the index of words that are merged in one write.
const MERGED_PAGES: i64 = 500;

pub(super) fn optimize(
    connection: &mut Connection,
    path: &Path,
    settings: &IndexOptimization,
    stop: &CancellationToken,
) -> Result<Optimized, StoreError> {
    let before = condition(connection, path)?;
    let mut left = Vec::new();
    match make_room(connection, settings, stop, &mut left) {
        Err(StoreError::Busy) => left.push("the rest was left: a run was writing all the time".to_owned()),
        done => done?,
    }
    Ok(Optimized { before, after: condition(connection, path)?, left })
}

fn make_room(
    connection: &mut Connection,
    settings: &IndexOptimization,
    stop: &CancellationToken,
    left: &mut Vec<String>,
) -> Result<(), StoreError> {
    let most = i64::from(settings.max_free_percent);
    let mut allowance = Allowance(Duration::from_secs(settings.max_block_seconds.unsigned_abs().into()));
    let vacant = Vacant::of(connection)?;
    if vacant.is_some_and(|vacant| percent(vacant.blocks, vacant.all) > most) {
        left.extend(allowance.block(connection, stop, "packing the vectors", pack)?);
    }
    merge_words(connection, stop)?;
    let (unused, all) = free(connection)?;
    if percent(unused, all) > most {
        left.extend(give_back(connection, stop, &mut allowance)?);
    }
    // what the planner knows of tables that have changed; see "Recommended usage patterns" of SQLite's manual
    connection.execute_batch("PRAGMA analysis_limit = 1000; PRAGMA optimize = 0x10002")?;
    checkpoint(connection)
}

fn condition(connection: &Connection, path: &Path) -> Result<Condition, StoreError> {
    let (mut unused, all) = free(connection)?;
    if let Some(vacant) = Vacant::of(connection)? {
        unused += vacant.blocks * vacant.bytes;
    }
    Ok(Condition { bytes: files::bytes(path), free_percent: percent(unused, all), search: search(connection)? })
}

fn percent(part: i64, whole: i64) -> i64 {
    part * 100 / whole.max(1)
}

/// sqlite-vec keeps vectors in blocks, and takes a block away only when its last vector goes: those that fewer blocks
/// had room for.
#[derive(Clone, Copy)]
struct Vacant {
    blocks: i64,
    all: i64,
    /// Bytes of a block.
    bytes: i64,
}

impl Vacant {
    /// None if there are no vectors.
    fn of(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let Some(dimension) = vectors::dimension(connection)? else { return Ok(None) };
        let table = vectors::in_use(connection)?;
        let (all, size): (i64, i64) = connection.query_row(
            &format!("SELECT count(*), coalesce(max(size), 1) FROM {table}_chunks"),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let held = number(connection, &format!("SELECT count(*) FROM {table}_rowids"))?;
        let needed = held / size + i64::from(held % size > 0);
        Ok(Some(Self { blocks: (all - needed).max(0), all, bytes: size * dimension * 4 }))
    }
}

/// Writes the vectors into a new table. While a rebuild fills one, its name is not free, and the old one soon is.
fn pack(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let Some(dimension) = vectors::dimension(&transaction)? else { return Ok(()) };
    if vectors::meta(&transaction, vectors::NEXT_MODEL)?.is_some() {
        return Ok(());
    }
    let (old, new) = (vectors::in_use(&transaction)?, vectors::next(&transaction)?);
    vectors::create(&transaction, new, usize::try_from(dimension).unwrap_or_default())?;
    transaction.execute_batch(&format!(
        "INSERT INTO {new} (rowid, embedding) SELECT rowid, embedding FROM {old}; DROP TABLE {old}"
    ))?;
    vectors::use_table(&transaction, new)?;
    transaction.commit()?;
    Ok(())
}

/// Merges the index of words bit by bit, so that nobody waits long; see "The 'merge' Command" of FTS5's manual.
fn merge_words(connection: &Connection, stop: &CancellationToken) -> Result<(), StoreError> {
    let mut merge = connection.prepare("INSERT INTO words (words, rank) VALUES ('merge', ?1)")?;
    let mut pages = -MERGED_PAGES;
    while !stop.is_cancelled() {
        let before = connection.total_changes();
        merge.execute([pages])?;
        if connection.total_changes() - before < 2 {
            break;
        }
        pages = MERGED_PAGES;
    }
    Ok(())
}

/// How long a search takes.
fn search(connection: &Connection) -> Result<Option<Duration>, StoreError> {
    if vectors::dimension(connection)?.is_none() {
        return Ok(None);
    }
    let table = vectors::in_use(connection)?;
    let some = format!("SELECT embedding FROM {table} LIMIT 1");
    let Some(vector) = connection.query_row(&some, [], |row| row.get::<_, Vec<u8>>(0)).optional()? else {
        return Ok(None);
    };
    let begun = Instant::now();
    let nearest = format!("SELECT rowid FROM {table} WHERE embedding MATCH ?1 AND k = ?2");
    let mut statement = connection.prepare(&nearest)?;
    let mut rows = statement.query(rusqlite::params![vector, NEIGHBOURS])?;
    while rows.next()?.is_some() {}
    Ok(Some(begun.elapsed()))
}
