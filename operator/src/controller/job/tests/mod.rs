//! Tests of the controller: what it plans, builds and says, and which calls it makes.

mod build;
pub(in crate::controller) mod fixtures;
mod mock_api;
mod plan;
mod recovery;
mod run_again;
mod scenarios;
mod simulation;
mod status;
