//! Ends work with a connection from without: when its task is over, or others have waited long enough. Uses a thread.

use std::{
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::super::super::StoreError;

/// How often it is looked whether the work has to end.
const INTERVAL: Duration = Duration::from_millis(20);

/// Works with a connection; none if the work had to end because it was told to, or because `limit` was over. What it had
/// begun was rolled back then.
pub(super) fn within<T>(
    connection: &mut Connection,
    stop: &CancellationToken,
    limit: Duration,
    work: impl FnOnce(&mut Connection) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let begun = Instant::now();
    let over = move || stop.is_cancelled() || begun.elapsed() >= limit;
    let handle = connection.get_interrupt_handle();
    let (working, ended) = channel::<()>();
    // the sender goes with the closure: when the work has ended, in whatever way
    let done = thread::scope(move |scope| {
        scope.spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                // again and again: an interrupt ends only the statement that runs
                if over() {
                    handle.interrupt();
                }
            }
        });
        let _working = working;
        work(connection)
    });
    match done {
        Err(_) if over() => Ok(None),
        done => done.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    const LONG: Duration = Duration::from_secs(3600);

    fn endless(connection: &mut Connection) -> Result<i64, StoreError> {
        Ok(connection.query_row(ENDLESS, [], |row| row.get(0))?)
    }

    #[test]
    fn work_ends_when_its_time_is_over_or_it_is_told_to() {
        let mut connection = Connection::open_in_memory().unwrap();
        let stop = CancellationToken::new();
        assert_eq!(within(&mut connection, &stop, Duration::from_millis(1), endless).unwrap(), None);
        assert_eq!(within(&mut connection, &stop, LONG, |_| Ok(7)).unwrap(), Some(7));
        let failed = within(&mut connection, &stop, LONG, |_| Err::<(), _>(StoreError::Busy));
        assert!(matches!(failed, Err(StoreError::Busy)));
        stop.cancel();
        assert_eq!(within(&mut connection, &stop, LONG, endless).unwrap(), None);
    }
}
