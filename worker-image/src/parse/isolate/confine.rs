//! What the kernel keeps a parser from: files, connections, other processes. Landlock judges by what is reached for,
//! seccomp by the system call. A kernel may lack either; for files each would do alone. Changes this very process, for
//! good.

use landlock::{
    ABI, Access, AccessFs, AccessNet, RestrictionStatus, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
};
use serde::{Deserialize, Serialize};

use super::system_calls;

/// The newest Landlock that the library knows. An older kernel enforces as much of it as it can.
const LANDLOCK: ABI = ABI::V10;

/// Whether each of the two holds; where not, why.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Confinement {
    landlock: Result<(), String>,
    seccomp: Result<(), String>,
}

/// Confines this process, as far as the kernel lets it. It must have one thread only, and all files open that it needs.
pub(super) fn confine() -> Confinement {
    let landlock = match reach_nothing() {
        Ok(RestrictionStatus { ruleset: RulesetStatus::NotEnforced, .. }) => Err("the kernel has none".to_owned()),
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    };
    Confinement { landlock, seccomp: system_calls::restrict().map_err(|error| error.to_string()) }
}

/// A set of rules that handles every access and grants none.
fn reach_nothing() -> Result<RestrictionStatus, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::from_all(LANDLOCK))?
        .create()?
        .restrict_self()
}

impl Confinement {
    /// Says in the log how far parsers are confined.
    pub(super) fn tell(&self) {
        let words = |held: &Result<(), String>| held.as_ref().err().cloned().unwrap_or_else(|| "in force".to_owned());
        let (landlock, seccomp) = (words(&self.landlock), words(&self.seccomp));
        match (&self.landlock, &self.seccomp) {
            (Ok(()), Ok(())) => tracing::info!(landlock, seccomp, "parsers reach no file, network or other process"),
            (Err(_), Err(_)) => tracing::warn!(
                landlock,
                seccomp,
                "nothing in this kernel keeps parsers from files and network: only the pod's own limits do"
            ),
            (Err(_), Ok(())) => {
                tracing::warn!(landlock, seccomp, "parsers reach no file, network or other process by seccomp alone");
            }
            (Ok(()), Err(_)) => {
                tracing::warn!(landlock, seccomp, "parsers reach no file by Landlock alone, which knows few networks");
            }
        }
    }
}
