//! `kubectl lexigram status`: every object on one line. Reads the cluster, writes standard output.

use clap::Args;
use jiff::Timestamp;
use kube::core::DynamicObject;
use serde_json::{Value, json};

use crate::{
    cluster::Cluster,
    complete::objects,
    error::{FAILED, FINE, PluginError},
    kind::Target,
    live,
    objects::{Scope, list},
    outcome::Outcome,
    output::{Format, print, show},
    row::{Row, rows},
};

/// Show how far jobs, batches and schedules are
#[derive(Debug, Args)]
pub struct Arguments {
    /// One object, as KIND/NAME; all where absent
    #[arg(add = objects())]
    target: Option<Target>,
    /// Of every namespace
    #[arg(short = 'A', long, conflicts_with = "target")]
    all_namespaces: bool,
    /// How it is written
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    /// Show changes too; of one job until it has ended, with exit code 3 if something of it has failed
    #[arg(short, long)]
    watch: bool,
}

impl Arguments {
    fn scope(&self) -> Scope {
        match (&self.target, self.all_namespaces) {
            (Some(target), _) => Scope::One(target.clone()),
            (None, false) => Scope::Namespace,
            (None, true) => Scope::Everywhere,
        }
    }
}

pub async fn main(cluster: &Cluster, arguments: &Arguments) -> Result<u8, PluginError> {
    let scope = arguments.scope();
    if arguments.watch {
        return Ok(exit_code(live::follow(cluster, &scope, arguments.output, None).await?));
    }
    let found = list(cluster, &scope).await?;
    let lines: Vec<Row> = found.iter().map(Row::of).collect::<Result<_, _>>()?;
    if lines.is_empty() && arguments.output == Format::Table {
        print("Nothing is there: the first job is explained in README.md.\n")?;
        return Ok(FINE);
    }
    let documents: Vec<&DynamicObject> = found.iter().map(|object| &object.content).collect();
    let document = match (scope, documents.as_slice()) {
        (Scope::One(_), [one]) => json!(one),
        _ => json!({"apiVersion": "v1", "kind": "List", "items": documents}),
    };
    show(arguments.output, &without_managers(document), || rows(&lines, arguments.all_namespaces, Timestamp::now()))?;
    Ok(FINE)
}

/// The exit code after something was waited for.
pub fn exit_code(outcome: Option<Outcome>) -> u8 {
    match outcome {
        None | Some(Outcome::Succeeded) => FINE,
        Some(Outcome::Failed) => FAILED,
    }
}

/// As kubectl writes objects: who manages which field is of no use to a reader.
fn without_managers(mut document: Value) -> Value {
    let items = match document.get_mut("items").and_then(Value::as_array_mut) {
        Some(items) => items.iter_mut().collect(),
        None => vec![&mut document],
    };
    for item in items {
        if let Some(metadata) = item.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    }
    document
}
