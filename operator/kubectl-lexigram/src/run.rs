//! `kubectl lexigram run`: a run now, of a schedule or a job. Writes an annotation.

use clap::Args;

use crate::{
    cluster::Cluster,
    complete::objects,
    error::{FINE, PluginError},
    kind::Target,
    live,
    objects::Scope,
    output::{Format, print},
    request::{Selection, Wish, ask},
    status::exit_code,
};

/// Start a run now: of a schedule's tasks, or of all documents or texts of a job
#[derive(Debug, Args)]
pub struct Arguments {
    /// The object as KIND/NAME; a name alone is that of a schedule
    #[arg(value_parser = Target::or_schedule, add = objects())]
    target: Target,
    /// Wait until the run has ended, with exit code 3 if something of it has failed
    #[arg(long)]
    wait: bool,
}

pub async fn main(cluster: &Cluster, arguments: &Arguments) -> Result<u8, PluginError> {
    let target = &arguments.target;
    let asked = ask(cluster, target, Wish::Run, &Selection::default()).await?;
    if arguments.wait {
        let ended = live::follow(cluster, &Scope::One(target.clone()), Format::Table, Some(asked)).await?;
        return Ok(exit_code(ended));
    }
    print(&format!("{target}: a run is asked for; `kubectl lexigram status {target} --watch` shows it\n"))?;
    Ok(FINE)
}
