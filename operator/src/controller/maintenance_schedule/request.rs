//! The annotation by which somebody asks for a run. No I/O.

use jiff::Timestamp;
use kube::ResourceExt;
use lexigram_api::resource::MaintenanceSchedule;

use super::runs::Run;
use crate::{
    controller::job::recovery::request::{self, BadRequest, Wish},
    names::RUN,
};

/// What the annotation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// There is none.
    Nothing,
    /// It cannot be understood.
    Bad(BadRequest),
    /// A run that nobody has started yet.
    Open {
        /// The annotation's value: a new one is a new request.
        value: String,
        /// The time that it says.
        time: Timestamp,
    },
    /// What it asks for has been begun.
    Met,
}

/// What is asked for. A request is met by the Job that carries it; status remembers it for the time after that Job.
#[must_use]
pub fn wanted(object: &MaintenanceSchedule, runs: &[Run]) -> Wanted {
    let Some(value) = object.annotations().get(RUN) else { return Wanted::Nothing };
    let remembered = object.status.as_ref().and_then(|status| status.last_run_request.as_ref()) == Some(value);
    if remembered || runs.iter().any(|run| run.asked.as_ref() == Some(value)) {
        return Wanted::Met;
    }
    match request::read(Wish::Run, object.annotations()) {
        Ok(None) => Wanted::Nothing,
        Ok(Some(request)) => Wanted::Open { value: request.value, time: request.time },
        Err(bad) => Wanted::Bad(bad),
    }
}
