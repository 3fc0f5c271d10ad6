//! Harness of the suites that run on a real cluster, through the chart.
//!
//! Every test is a [`sandbox`]: a random namespace that enforces the `restricted` Pod Security Standard, with a release
//! of its own that watches this namespace only, so that no test disturbs another one. A failed test shows what was in its
//! namespace before that is deleted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod claim;
mod cluster;
pub mod corpus;
mod fault_server;
mod files;
mod helm;
mod objects;
mod postgres;
mod sandbox;
mod schedule;
mod store;
mod wait;

pub use cluster::{ProgramError, kubectl};
pub use fault_server::{Answer, FaultServer, address};
pub use files::fixture;
pub use helm::{Release, base_release};
pub use objects::{Job, Object, Objects, condition_of};
pub use postgres::Postgres;
pub use sandbox::{OPERATORS, Sandbox, WORKERS, bare, sandbox};
pub use schedule::ended_runs;
pub use store::{Hit, StoredDocument};
pub use wait::{BOUND, until, until_object};
