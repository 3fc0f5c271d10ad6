//! `metav1.Condition` lists: typed condition types, and a setter that keeps transition times. No I/O.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::contract::cut_to_bytes;

/// Longest message of a condition, in bytes of JSON (`metav1.Condition` allows 32,768 characters; ours stay readable).
pub(super) const MESSAGE_BYTES: usize = 512;
/// Longest reason of a condition.
pub(super) const REASON_BYTES: usize = 128;

/// Types of the conditions of jobs and schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionType {
    /// Every item is done or archived.
    Complete,
    /// The job as a whole failed: authentication, configuration, deadline.
    Failed,
    /// Nothing runs because somebody wants it so.
    Suspended,
    /// kstatus: the operator is working towards the spec.
    Reconciling,
    /// kstatus: something has to change outside before work can go on.
    Stalled,
    /// What an annotation asks for is, or was, done.
    RequestAccepted,
    /// The operator's webhook has taken the newest message about the object.
    Notified,
    /// The schedule was accepted, and is active.
    Ready,
    /// The newest health check found nothing wrong.
    Healthy,
}

impl ConditionType {
    /// The name as it stands in `status.conditions[].type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "Complete",
            Self::Failed => "Failed",
            Self::Suspended => "Suspended",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::RequestAccepted => "RequestAccepted",
            Self::Notified => "Notified",
            Self::Ready => "Ready",
            Self::Healthy => "Healthy",
        }
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionStatus {
    /// It does.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

impl ConditionStatus {
    /// The word as it stands in `status.conditions[].status`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// The condition of that type.
#[must_use]
pub fn condition(conditions: &[Condition], kind: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|condition| condition.type_ == kind.as_str())
}

/// Whether the condition of that type is there and True.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: ConditionType) -> bool {
    condition(conditions, kind).is_some_and(|condition| condition.status == "True")
}

/// Sets a condition. `lastTransitionTime` becomes `now` only if the status changes. Returns whether it did.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: ConditionType,
    status: impl Into<ConditionStatus>,
    reason: &str,
    message: &str,
    generation: Option<i64>,
    now: Timestamp,
) -> bool {
    let status = status.into().as_str();
    let previous = condition(conditions, kind).cloned();
    let changed = previous.as_ref().is_none_or(|condition| condition.status != status);
    let new = Condition {
        type_: kind.as_str().to_owned(),
        status: status.to_owned(),
        reason: reason.chars().take(REASON_BYTES).collect(),
        message: cut_to_bytes(message, MESSAGE_BYTES),
        observed_generation: generation,
        last_transition_time: match previous {
            Some(condition) if !changed => condition.last_transition_time,
            _ => Time(now),
        },
    };
    match conditions.iter_mut().find(|condition| condition.type_ == new.type_) {
        Some(slot) => *slot = new,
        None => conditions.push(new),
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut list = Vec::new();
        assert!(set_condition(&mut list, ConditionType::Complete, false, "Queued", "waits", Some(1), at(10)));
        assert!(!set_condition(&mut list, ConditionType::Complete, false, "Running", "runs", Some(2), at(20)));
        assert_eq!(list.len(), 1);
        assert_eq!((list[0].reason.as_str(), list[0].observed_generation), ("Running", Some(2)));
        assert_eq!(list[0].last_transition_time.0, at(10));
        assert!(set_condition(&mut list, ConditionType::Complete, true, "Completed", "", Some(2), at(30)));
        assert_eq!(list[0].last_transition_time.0, at(30));
        assert!(is_true(&list, ConditionType::Complete) && !is_true(&list, ConditionType::Failed));
    }
}
