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
mod node;
mod objects;
mod operators;
mod plugin;
mod postgres;
mod repository;
mod sandbox;
mod schedule;
mod server_pod;
mod store;
pub mod tiny_model;
mod wait;
mod web_server;

pub use cluster::{ProgramError, image, kubectl, kubectl_with};
pub use fault_server::{Answer, FaultServer, address};
pub use files::{fixture, texts};
pub use helm::{Release, base_release};
pub use node::{ApiServer, Container};
pub use objects::{Job, Object, Objects, condition_of};
pub use operators::{holder, named};
pub use plugin::Said;
pub use postgres::Postgres;
pub use repository::Repository;
pub use sandbox::{OPERATORS, Sandbox, WORKERS, bare, sandbox};
pub use schedule::ended_runs;
pub use store::{Hit, Model, StoredDocument};
pub use wait::{BOUND, poll, until, until_object};
pub use web_server::WebServer;
