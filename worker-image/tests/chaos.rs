//! The real program is killed at random moments, runs out of disk, and has its clock turned back: the store ends as that
//! of a worker to which nothing happened.
//!
//! `LEXIGRAM_CHAOS_KILLS` says how often it is killed, `LEXIGRAM_CHAOS_SEED` when; `just chaos` kills it 200 times.

// helpers panic as tests do
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
mod provider_common;

use std::{fs, path::PathBuf, process::Command, time::Instant};

use common::{
    Workspace,
    chaos::{DOCUMENTS, Random, complete, kill_some, setting, spec, write},
    contents, count, query, run,
};
use lexigram_fault_provider::Script;
use provider_common::start;

/// Everything that two stores must have in common.
fn state(workspace: &Workspace) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let store = workspace.store();
    let chunks = "SELECT documents.name, chunks.ordinal, uuid, chunks.revision, text, headings, hex(vectors.embedding)
        FROM chunks JOIN documents ON documents.id = chunks.document JOIN vectors ON vectors.rowid = chunks.id
        ORDER BY documents.name, chunks.ordinal";
    let ledger =
        "SELECT name, state, revision, chunks, attempts, suspect, coalesce(reason, '-') FROM documents ORDER BY name";
    let chunks = query(&store, chunks);
    assert_eq!(contents(&store).len(), chunks.len(), "a chunk is there twice");
    let orphans =
        "SELECT count(*) FROM chunks WHERE revision <> (SELECT revision FROM documents WHERE id = chunks.document)";
    assert_eq!(count(&store, orphans), 0, "chunks of another revision are left");
    assert_eq!(count(&store, "SELECT count(*) FROM documents WHERE state <> 'Done'"), 0);
    (chunks, query(&store, ledger))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_again_and_again_ends_where_it_should() {
    let (kills, seed) = (setting("LEXIGRAM_CHAOS_KILLS", 8), setting("LEXIGRAM_CHAOS_SEED", 1));
    let provider = start(Script::default()).await;
    let (killed, spared) = (Workspace::new(), Workspace::new());
    let (mut random, mut done, mut round) = (Random(seed), 0, 0);
    while done < kills {
        round += 1;
        [&killed, &spared].into_iter().for_each(|workspace| write(workspace, round));
        let started = Instant::now();
        complete(&spared, &spec(&spared, &provider, round));
        let half = started.elapsed() / 2;
        let spec = spec(&killed, &provider, round);
        done += kill_some(&killed, &spec, &mut random, half).await;
        complete(&killed, &spec);
        assert_eq!(state(&killed), state(&spared), "seed {seed}, round {round}, after {done} kills");
    }
    println!("{done} kills in {round} rounds of {DOCUMENTS} documents; seed {seed}");
}

/// A small file system in memory, where the test may mount one; it goes with the test.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(path: PathBuf, size: &str) -> Self {
        fs::create_dir(&path).unwrap();
        let options = format!("size={size}");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).status().unwrap();
        assert!(status.success(), "a tmpfs is needed at {}", path.display());
        Self(path)
    }

    fn resize(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_run_and_room_completes_it() {
    if !rustix::process::geteuid().is_root() {
        println!("only root may mount a file system: not tried");
        return;
    }
    let provider = start(Script::default()).await;
    let (small, spared) = (Workspace::new(), Workspace::new());
    [&small, &spared].into_iter().for_each(|workspace| write(workspace, 1));
    complete(&spared, &spec(&spared, &provider, 1));
    let disk = Tmpfs::mount(small.path("disk"), "512k");
    let mut spec = spec(&small, &provider, 1);
    spec["task"]["store"]["path"] = disk.0.join("docs.db").to_str().unwrap().into();
    let (code, _, log) = run(&mut small.pod(&spec));
    let error = small.report().error.unwrap();
    assert_eq!((code, error.reason.as_str()), (75, "StoreFull"), "{log}");
    assert!(error.message.contains("enlarge the claim"), "{}", error.message);
    disk.resize("64m");
    complete(&small, &spec);
    fs::copy(disk.0.join("docs.db"), small.store()).unwrap();
    assert_eq!(contents(&small.store()), contents(&spared.store()));
    assert_eq!(small.report().counts.items.done, spared.report().counts.items.done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_turned_back_loses_nothing() {
    let provider = start(Script::default()).await;
    let (turned, spared) = (Workspace::new(), Workspace::new());
    [&turned, &spared].into_iter().for_each(|workspace| write(workspace, 1));
    turned.write("200.md", "");
    complete(&turned, &spec(&turned, &provider, 1));
    // as if everything so far had happened tomorrow; one document is in hand, another waits for its retry
    let connection = rusqlite::Connection::open(turned.store()).unwrap();
    let tomorrow =
        "UPDATE documents SET first_failure = first_failure + 86400000, last_failure = last_failure + 86400000";
    connection.execute(tomorrow, []).unwrap();
    connection.execute("UPDATE documents SET state = 'InFlight', outcome = NULL WHERE name = '001.md'", []).unwrap();
    let waits = "UPDATE documents SET state = 'Failed', action = 'Retry', outcome = 'Failed', stage = 'Source',
        category = 'Transient', reason = 'Test', message = 'x', attempts = 1, next_attempt = 4102444800000,
        first_failure = 4102444700000, last_failure = 4102444700000 WHERE name = '002.md'";
    connection.execute(waits, []).unwrap();
    drop(connection);
    fs::remove_file(turned.docs().join("200.md")).unwrap();
    [&turned, &spared].into_iter().for_each(|workspace| write(workspace, 2));
    complete(&turned, &spec(&turned, &provider, 2));
    complete(&spared, &spec(&spared, &provider, 2));
    assert_eq!(state(&turned), state(&spared));
    assert_eq!(turned.report().dead_letters, Default::default());
}
