//! What the user may do of what the plugin needs. No I/O.

use std::collections::BTreeSet;

use lexigram_api::GROUP;

use super::unseen;
use crate::doctor::{finding::Finding, observe::Seen};

const CHECK: &str = "permissions";

/// A permission, and the command that needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The command.
    pub command: &'static str,
    /// The verb.
    pub verb: &'static str,
    /// API group of the resource.
    pub group: &'static str,
    /// The resource.
    pub resource: &'static str,
    /// Its part, if it is about that.
    pub subresource: Option<&'static str>,
}

const JOBS: &str = "ingestionjobs";
const BATCHES: &str = "embeddingbatches";
const SCHEDULES: &str = "maintenanceschedules";
const STATUS: &str = "status";
const ASK: &str = "run and dead-letters";
const SEARCH: &str = "search";

const fn of_kind(command: &'static str, verb: &'static str, resource: &'static str) -> Need {
    Need { command, verb, group: GROUP, resource, subresource: None }
}

const fn of_pods(verb: &'static str, subresource: Option<&'static str>) -> Need {
    Need { command: SEARCH, verb, group: "", resource: "pods", subresource }
}

/// Everything that the plugin needs in a namespace.
pub const NEEDS: [Need; 18] = [
    of_kind(STATUS, "get", JOBS),
    of_kind(STATUS, "list", JOBS),
    of_kind(STATUS, "watch", JOBS),
    of_kind(STATUS, "get", BATCHES),
    of_kind(STATUS, "list", BATCHES),
    of_kind(STATUS, "watch", BATCHES),
    of_kind(STATUS, "get", SCHEDULES),
    of_kind(STATUS, "list", SCHEDULES),
    of_kind(STATUS, "watch", SCHEDULES),
    of_kind(ASK, "patch", JOBS),
    of_kind(ASK, "patch", BATCHES),
    of_kind(ASK, "patch", SCHEDULES),
    of_pods("create", None),
    of_pods("get", None),
    of_pods("list", None),
    of_pods("watch", None),
    of_pods("delete", None),
    of_pods("get", Some("log")),
];

/// What the user may not do, one finding a command. Without `status` nothing works.
pub fn access(seen: &Seen<Vec<(Need, bool)>>, namespace: &str, user: &str) -> Vec<Finding> {
    let Ok(answers) = seen else { return unseen(CHECK, seen).into_iter().collect() };
    let findings: Vec<Finding> = [STATUS, ASK, SEARCH]
        .into_iter()
        .filter_map(|command| {
            let missing: Vec<&Need> = answers
                .iter()
                .filter(|(need, allowed)| need.command == command && !allowed)
                .map(|(need, _)| need)
                .collect();
            let named: Vec<String> = missing.iter().map(|need| format!("{} {}", need.verb, name(need))).collect();
            let message = format!("{user} cannot use {command} in {namespace}: may not {}", named.join(", "));
            match command {
                _ if missing.is_empty() => None,
                STATUS => Some(Finding::problem(CHECK, message, grant(command, namespace, user))),
                _ => Some(Finding::warning(CHECK, message, grant(command, namespace, user))),
            }
        })
        .collect();
    match findings.is_empty() {
        true => vec![Finding::ok(CHECK, format!("{user} may do all that the plugin needs in {namespace}"))],
        false => findings,
    }
}

fn name(need: &Need) -> String {
    match (need.group, need.subresource) {
        ("", None) => need.resource.to_owned(),
        ("", Some(part)) => format!("{}/{part}", need.resource),
        (group, _) => format!("{}.{group}", need.resource),
    }
}

/// What an administrator types: a role with all that the command needs, and its binding.
fn grant(command: &str, namespace: &str, user: &str) -> String {
    let needs = || NEEDS.iter().filter(|need| need.command == command);
    let verbs: BTreeSet<&str> = needs().map(|need| need.verb).collect();
    let resources: BTreeSet<String> = needs().map(name).collect();
    let role = format!("lexigram-{}", command.split(' ').next().unwrap_or(command));
    format!(
        "kubectl --namespace {namespace} create role {role} --verb={} --resource={} && \
         kubectl --namespace {namespace} create rolebinding {role} --role={role} --user='{user}'",
        Vec::from_iter(verbs).join(","),
        Vec::from_iter(resources).join(","),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::{
        checks::testing::{assert_findings, forbidden},
        finding::Verdict,
    };

    fn may(allowed: impl Fn(&Need) -> bool) -> Vec<Finding> {
        access(&Ok(NEEDS.map(|need| (need, allowed(&need))).to_vec()), "docs", "ann")
    }

    #[test]
    fn who_may_do_everything_is_told_so() {
        assert_findings(&may(|_| true), &[(Verdict::Ok, "ann may do all", "")]);
    }

    #[test]
    fn a_reader_is_warned_of_what_does_not_work() {
        let role = "kubectl --namespace docs create role lexigram-search --verb=create,delete,get,list,watch \
                    --resource=pods,pods/log && kubectl --namespace docs create rolebinding lexigram-search \
                    --role=lexigram-search --user='ann'";
        let findings = may(|need| need.command == STATUS);
        assert_findings(
            &findings,
            &[
                (
                    Verdict::Warning,
                    "ann cannot use run and dead-letters in docs: may not patch ingestionjobs.work",
                    "create role",
                ),
                (
                    Verdict::Warning,
                    "may not create pods, get pods, list pods, watch pods, delete pods, get pods/log",
                    role,
                ),
            ],
        );
    }

    #[test]
    fn without_status_nothing_works() {
        let findings = may(|need| (need.verb, need.resource) != ("list", BATCHES));
        let expected =
            (Verdict::Problem, "may not list embeddingbatches.workers.lexigram.dev", "--verb=get,list,watch");
        assert_findings(&findings, &[expected]);
    }

    #[test]
    fn reviews_may_be_forbidden_too() {
        assert_findings(&access(&forbidden(), "docs", "ann"), &[(Verdict::Unknown, "may not", "")]);
    }
}
