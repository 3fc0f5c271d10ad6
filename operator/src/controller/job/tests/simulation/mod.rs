//! Retries in a simulated cluster, where everything goes wrong that may: whatever happens in whatever order, no attempt
//! is begun twice, nothing is lost, and no more run than may.

mod cluster;
mod ledger;
mod operator;

use kube::ResourceExt;
use lexigram_api::{
    failure::FailureCategory,
    resource::{ConditionType, State as Told, condition},
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::fixtures::at;
use crate::names::RETRY;

use self::{
    cluster::{OBJECTS, SimulatedCluster},
    ledger::{Fate, ITEMS, State},
    operator::SimulatedOperator,
};

/// Values of the annotation that asks for a retry.
const REQUESTS: [&str; 2] = ["2027-01-15T08:00:00Z", "2027-01-16T08:00:00Z"];
/// Rounds after which everything has come to rest, once nothing fails any more.
const ROUNDS: usize = 100;

/// What happens next; operators and objects by their index.
#[derive(Clone, Debug)]
enum Step {
    TimePasses(i64),
    ClockIsSet { operator: usize, skew: i64 },
    IntervalIs(u32),
    Enabled(bool),
    Suspended(usize, bool),
    RetryIsAskedFor(usize, &'static str),
    CacheCatchesUp(usize),
    Restart(usize),
    Reconcile { operator: usize, object: usize, dies: bool },
    WorkBegins(usize),
    WorkEnds(usize, [Fate; ITEMS]),
    WorkersDie(usize),
    JobIsDeleted { object: usize, nth: usize },
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        3 => Just(Fate::Lands),
        3 => Just(Fate::Fails(FailureCategory::Transient)),
        1 => select(&[FailureCategory::InvalidInput, FailureCategory::Unknown][..]).prop_map(Fate::Fails),
    ]
}

fn step(operators: usize) -> impl Strategy<Value = Step> {
    let (operator, object) = (0..operators, 0..OBJECTS);
    prop_oneof![
        4 => (1_i64..200).prop_map(Step::TimePasses),
        1 => (operator.clone(), -200_i64..200).prop_map(|(operator, skew)| Step::ClockIsSet { operator, skew }),
        1 => select(&[5, 60, 3600][..]).prop_map(Step::IntervalIs),
        1 => any::<bool>().prop_map(Step::Enabled),
        2 => (object.clone(), any::<bool>()).prop_map(|(object, on)| Step::Suspended(object, on)),
        2 => (object.clone(), select(&REQUESTS[..])).prop_map(|(object, value)| Step::RetryIsAskedFor(object, value)),
        8 => operator.clone().prop_map(Step::CacheCatchesUp),
        1 => operator.clone().prop_map(Step::Restart),
        20 => (operator, object.clone(), prop::bool::weighted(0.05))
            .prop_map(|(operator, object, dies)| Step::Reconcile { operator, object, dies }),
        4 => object.clone().prop_map(Step::WorkBegins),
        8 => (object.clone(), prop::array::uniform(fate())).prop_map(|(object, fates)| Step::WorkEnds(object, fates)),
        1 => object.clone().prop_map(Step::WorkersDie),
        1 => (object, 0..9_usize).prop_map(|(object, nth)| Step::JobIsDeleted { object, nth }),
    ]
}

struct Simulation {
    cluster: SimulatedCluster,
    operators: Vec<SimulatedOperator>,
}

impl Simulation {
    fn new(operators: usize, limit: u32) -> Self {
        let cluster = SimulatedCluster::new(limit);
        let operators = (0..operators).map(|_| SimulatedOperator::start(&cluster, 0)).collect();
        Self { cluster, operators }
    }

    fn take(&mut self, step: &Step) {
        let Self { cluster, operators } = self;
        match *step {
            Step::TimePasses(seconds) => cluster.clock += seconds,
            Step::ClockIsSet { operator, skew } => operators[operator].skew = skew,
            Step::IntervalIs(seconds) => cluster.config.dlq_check_interval = seconds,
            Step::Enabled(enabled) => cluster.config.enabled = enabled,
            Step::Suspended(object, suspend) => cluster.suspend(object, suspend),
            Step::RetryIsAskedFor(object, value) => cluster.annotate(object, value),
            Step::CacheCatchesUp(operator) => operators[operator].observe(cluster),
            Step::Restart(operator) => {
                operators[operator] = SimulatedOperator::start(cluster, operators[operator].skew)
            }
            Step::Reconcile { operator, object, dies } => operators[operator].reconcile(cluster, object, dies),
            Step::WorkBegins(object) => cluster.begin(object),
            Step::WorkEnds(object, fates) => cluster.end(object, fates),
            Step::WorkersDie(object) => cluster.crash(object),
            Step::JobIsDeleted { object, nth } => {
                let runs = &cluster.objects[object].runs;
                let Some(name) = runs.keys().nth(nth % runs.len().max(1)).cloned() else { return };
                let asked = runs[&name].0.annotations().contains_key(RETRY);
                cluster.delete_run(object, &name);
                // whoever deletes the Job of a request takes the request back, and here makes another one
                if asked {
                    cluster.annotate(object, &at(1_000_000 + cluster.clock).to_string());
                }
                // until both have seen it, it is the lock of the store that keeps a full run and a retry apart
                operators.iter_mut().for_each(|operator| operator.observe(cluster));
            }
        }
    }

    /// Objects with a worker, or a Job that will have one.
    fn running(&self) -> usize {
        self.cluster.objects.iter().filter(|known| known.live().next().is_some()).count()
    }

    /// Nothing fails any more, and a person asks again for what has failed as a whole.
    fn settle(&mut self) {
        let Self { cluster, operators } = self;
        cluster.config.enabled = true;
        cluster.config.dlq_check_interval = 5;
        operators.iter_mut().for_each(|operator| operator.skew = 0);
        for object in 0..OBJECTS {
            cluster.suspend(object, false);
        }
        for round in 0..ROUNDS {
            for object in 0..OBJECTS {
                for operator in operators.iter_mut() {
                    operator.observe(cluster);
                    operator.reconcile(cluster, object, false);
                }
                cluster.end(object, [Fate::Lands; ITEMS]);
                if round == ROUNDS / 2 && self::told(cluster, object) == Some(Told::Failed) {
                    cluster.annotate(object, "2027-01-17T08:00:00Z");
                }
            }
            cluster.clock += 60;
        }
    }
}

fn told(cluster: &SimulatedCluster, object: usize) -> Option<Told> {
    cluster.objects[object].job.status.as_ref()?.job.state
}

/// Everything is done, given up or shown to a person, and status says so.
fn check_rest(cluster: &SimulatedCluster) {
    for (object, ledger) in cluster.ledgers.iter().enumerate() {
        let states: Vec<State> = ledger.states().collect();
        assert!(
            states.iter().all(|state| matches!(state, State::Done | State::Archived | State::Notified)),
            "{states:?}"
        );
        let status = &cluster.objects[object].job.status.as_ref().unwrap().job;
        let failures = ledger.failures();
        let expected = if failures.notified > 0 { Told::Stalled } else { Told::Complete };
        assert_eq!(status.state, Some(expected), "{states:?} {:?}", status.conditions);
        let dead = status.dead_letters.clone().unwrap_or_default();
        assert_eq!([dead.retrying, dead.archived, dead.notified], [0, failures.archived, failures.notified]);
        if let Some(accepted) = condition(&status.conditions, ConditionType::RequestAccepted) {
            assert_eq!(accepted.reason, "RequestDone");
        }
    }
}

proptest! {
    #[test]
    fn two_operators_that_know_nothing_of_each_other_begin_each_attempt_once_and_lose_nothing(
        steps in vec(step(2), 1..150),
    ) {
        let mut simulation = Simulation::new(2, 2);
        steps.iter().for_each(|step| simulation.take(step));
        simulation.settle();
        check_rest(&simulation.cluster);
    }

    #[test]
    fn one_operator_never_runs_more_than_it_may(steps in vec(step(1), 1..150), limit in 1..3_u32) {
        let mut simulation = Simulation::new(1, limit);
        for step in &steps {
            simulation.operators[0].observe(&simulation.cluster);
            simulation.take(step);
            prop_assert!(simulation.running() <= limit as usize, "{} run after {step:?}", simulation.running());
        }
        simulation.settle();
        check_rest(&simulation.cluster);
    }
}
