//! What the API server accepts, refuses and fills in, by the schemas and rules of the CRDs. No operator is needed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod asked;
mod embedding_batch;
mod ingestion_job;
mod maintenance_schedule;
