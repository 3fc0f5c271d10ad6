//! First stage: claims what waits in the ledger, as there is room for it, and reads its rows. Reads the input, writes
//! the store.

use std::sync::Arc;

use lexigram_api::contract::StageName;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc::Sender},
    task::spawn_blocking,
    time::Instant,
};

use super::{
    InputError, broken,
    identity::hexadecimal,
    in_hand::{IN_HAND, Owner, Slice},
    place::RangePlace,
    ranges::{RangeHash, RangeLimits},
    rows::{Row, RowError, RowReader, Rows},
    run::Run,
};
use crate::{
    run::{Pace, RunFailure},
    store::TextItem,
};

/// Single texts that are claimed at once.
const SINGLES: usize = 256;

/// A reader that goes from thread to thread; ranges come in the order of the input, so that it seldom goes back.
type Reader = Box<dyn RowReader>;

impl Run<'_> {
    pub(super) async fn read(&self, next: Sender<Slice<Row>>) -> Result<(), RunFailure> {
        let rows = self.input.rows.clone();
        let mut reader = spawn_blocking(move || rows.open()).await.map_err(|error| broken(&error))??;
        let (started, items) = (Instant::now(), self.tracker.progress().counts.items);
        let (policy, shards) = (&self.task.failure_policy, self.task.embedding.shards);
        let mut pace = Pace::new(&self.task.mode, policy, shards, items.total - items.processed());
        // room first: what is claimed is read at once
        while let Some(mut room) = self.room(1).await {
            let in_time = self.tracker.wait(pace.wait(started.elapsed()));
            if self.stop.run_until_cancelled(in_time).await.is_none() {
                break;
            }
            let claiming = self.store.claim_texts(&self.key, pace.at_once(SINGLES));
            let claimed = self.tracker.busy(StageName::Store, claiming).await?;
            let Some(first) = claimed.first() else { break };
            pace.begun(started.elapsed(), claimed.iter().map(|claimed| claimed.weight).sum());
            // What may have killed a worker goes alone: should it happen again, no other is blamed.
            if first.item.suspect {
                match self.room(IN_HAND - 1).await {
                    Some(others) => room.merge(others),
                    None => break,
                }
            }
            let (back, going_on) = match first.part_of {
                None => self.read_range(reader, first.clone(), room, &next).await?,
                Some(_) => self.read_singles(reader, claimed, room, &next).await?,
            };
            if !going_on {
                break;
            }
            reader = back;
        }
        Ok(())
    }

    /// Waits for room for so many slices; none if the run is told to stop.
    async fn room(&self, slices: usize) -> Option<OwnedSemaphorePermit> {
        let slices = u32::try_from(slices).ok()?;
        self.stop.run_until_cancelled(Arc::clone(&self.in_hand).acquire_many_owned(slices)).await?.ok()
    }

    async fn read_range(
        &self,
        mut reader: Reader,
        item: TextItem,
        room: OwnedSemaphorePermit,
        next: &Sender<Slice<Row>>,
    ) -> Result<(Reader, bool), RunFailure> {
        let place = RangePlace::of(&item)?;
        let (mut hash, mut left) = (RangeHash::default(), place.rows);
        let mut ahead = None;
        let mut room = Some(room);
        let mut beginning = Some(place.start);
        loop {
            let reading = spawn_blocking(move || {
                if let Some(start) = beginning {
                    reader.seek(start)?;
                }
                let rows = slice(&mut *reader, &mut ahead, left)?;
                Ok::<_, InputError>((reader, ahead, rows))
            });
            let rows;
            (reader, ahead, rows) =
                self.tracker.busy(StageName::Fetch, reading).await.map_err(|error| broken(&error))??;
            beginning = None;
            self.tracker.beat();
            rows.iter().for_each(|row| hash.push(&row.hash()));
            let read = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            left = left.saturating_sub(read);
            let last = left == 0 || read == 0;
            let changed = match last {
                true => {
                    left > 0
                        || item.version.as_ref().is_some_and(|listed| *listed != std::mem::take(&mut hash).finish())
                }
                false => false,
            };
            let owner = Owner::Range { item: item.clone(), place, last, changed };
            let own_room = match room.take() {
                Some(room) => room,
                None => match self.room(1).await {
                    Some(room) => room,
                    None => return Ok((reader, false)),
                },
            };
            if next.send(Slice { owner, rows, _room: own_room }).await.is_err() {
                return Ok((reader, false));
            }
            if last {
                return Ok((reader, true));
            }
        }
    }

    async fn read_singles(
        &self,
        mut reader: Reader,
        claimed: Vec<TextItem>,
        room: OwnedSemaphorePermit,
        next: &Sender<Slice<Row>>,
    ) -> Result<(Reader, bool), RunFailure> {
        let mut singles = Vec::with_capacity(claimed.len());
        for item in claimed {
            let place = RangePlace::of(&item)?;
            singles.push((item, place));
        }
        let rows = self.input.rows.clone();
        let reading = spawn_blocking(move || {
            let read = singles.iter().map(|(item, place)| again(&mut *reader, &rows, item, *place));
            let read = read.collect::<Result<Vec<Row>, InputError>>()?;
            Ok::<_, InputError>((reader, singles, read))
        });
        let rows;
        (reader, singles, rows) =
            self.tracker.busy(StageName::Fetch, reading).await.map_err(|error| broken(&error))??;
        self.tracker.beat();
        let slice = Slice { owner: Owner::Singles(singles), rows, _room: room };
        let received = next.send(slice).await.is_ok();
        Ok((reader, received))
    }
}

/// The next rows, as many as a slice may hold and no more than are `left`. The row that did not fit is kept for the next
/// slice.
fn slice(reader: &mut dyn RowReader, ahead: &mut Option<Row>, left: u64) -> Result<Vec<Row>, InputError> {
    let (mut rows, mut number, mut bytes) = (Vec::new(), 0, 0);
    while number < left {
        let row = match ahead.take() {
            Some(row) => Some(row),
            None => reader.next()?,
        };
        let Some(row) = row else { break };
        let size = row.size();
        if RangeLimits::SLICE.reached(number, bytes, size) {
            *ahead = Some(row);
            break;
        }
        rows.push(row);
        number += 1;
        bytes += size;
    }
    Ok(rows)
}

/// A row that has failed before, as it is now.
fn again(reader: &mut dyn RowReader, rows: &Rows, item: &TextItem, place: RangePlace) -> Result<Row, InputError> {
    reader.seek(place.start)?;
    let same = |row: &Row| item.version.as_ref().is_none_or(|listed| *listed == hexadecimal(&row.hash()));
    Ok(reader.next()?.filter(same).unwrap_or_else(|| Row {
        position: place.start,
        bytes: 0,
        content: Err(RowError::Gone { place: rows.place(place.start) }),
    }))
}
