//! `MaintenanceSchedule`: tasks that keep a store fast, small and known to be healthy, on a cron or an interval. No I/O.

mod spec;
mod status;
mod task;

pub use spec::{MaintenanceSchedule, MaintenanceScheduleSpec, OverlapPolicy};
pub use status::{CheckStatus, MAX_RUNS_BYTES, MaintenanceRun, MaintenanceScheduleStatus, TaskStatus};
pub use task::{MaintenanceTask, ResyncTarget};
