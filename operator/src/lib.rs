//! The operator: watches the resources of `workers.lexigram.dev`, runs workers for them, and tells how it goes.
//!
//! - [`controller`]: one folder a kind, the same steps in each
//! - [`queue`]: who may run
//! - [`notify`]: messages for a webhook
//! - [`config`]: the `ai_workers` keys, which may change while the operator runs; [`settings`]: what may not
//! - `run`, [`leader`], [`leadership`], [`client`], [`admin`], [`metrics`], `tls`: the process around the controllers
//! - [`cli`], [`crd`]: what a person types
//!
//! The library exists for the binary and its tests; it is no API for others.

pub mod admin;
pub mod cli;
pub mod client;
pub mod config;
pub mod controller;
pub mod crd;
pub mod leader;
pub mod leadership;
pub mod metrics;
pub mod names;
pub mod notify;
pub mod queue;
mod run;
pub mod settings;
mod tls;
