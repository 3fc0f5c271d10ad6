//! The kinds, and how a person names an object of one: as kubectl takes it. No I/O.

use std::{fmt, str::FromStr};

use kube::{CustomResourceExt, core::ApiResource};
use lexigram_api::resource::{EmbeddingBatch, IngestionJob, MaintenanceSchedule};

use crate::error::PluginError;

/// A kind of the API group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `IngestionJob`.
    Ingestion,
    /// `EmbeddingBatch`.
    Embedding,
    /// `MaintenanceSchedule`.
    Maintenance,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ingestion, Self::Embedding, Self::Maintenance];

    /// How the API server knows it.
    pub fn resource(self) -> ApiResource {
        match self {
            Self::Ingestion => IngestionJob::api_resource(),
            Self::Embedding => EmbeddingBatch::api_resource(),
            Self::Maintenance => MaintenanceSchedule::api_resource(),
        }
    }

    /// Its short name.
    pub const fn short(self) -> &'static str {
        match self {
            Self::Ingestion => "ij",
            Self::Embedding => "eb",
            Self::Maintenance => "ms",
        }
    }

    /// The kind of that name, singular, plural or short, with or without the group.
    fn named(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        Self::ALL.into_iter().find(|kind| {
            let ApiResource { kind: name, plural, group, .. } = kind.resource();
            let singular = name.to_ascii_lowercase();
            let known = [kind.short().to_owned(), format!("{singular}.{group}"), format!("{plural}.{group}")];
            word == singular || word == plural || known.contains(&word)
        })
    }
}

/// An object: `KIND/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl Target {
    /// As [`FromStr`], where a name alone is that of a schedule.
    pub fn or_schedule(text: &str) -> Result<Self, PluginError> {
        match text.contains('/') {
            true => text.parse(),
            false => Ok(Self { kind: Kind::Maintenance, name: text.to_owned() }),
        }
    }
}

impl FromStr for Target {
    type Err = PluginError;

    fn from_str(text: &str) -> Result<Self, PluginError> {
        let parts = text.split_once('/').filter(|(_, name)| !name.is_empty() && !name.contains('/'));
        let target = parts.and_then(|(kind, name)| Some(Self { kind: Kind::named(kind)?, name: name.to_owned() }));
        target.ok_or_else(|| {
            PluginError::Usage(format!(
                "'{text}' is not KIND/NAME: kinds are ij (IngestionJob), eb (EmbeddingBatch) and ms (MaintenanceSchedule)"
            ))
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.short(), self.name)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("ij/a", "ij/a")]
    #[case("IngestionJob/a", "ij/a")]
    #[case("embeddingbatches/a", "eb/a")]
    #[case("maintenanceschedule.workers.lexigram.dev/a", "ms/a")]
    fn every_name_of_a_kind_is_known(#[case] text: &str, #[case] target: &str) {
        assert_eq!(text.parse::<Target>().unwrap().to_string(), target);
    }

    #[rstest]
    #[case("a")]
    #[case("ij/")]
    #[case("ij/a/b")]
    #[case("pods/a")]
    fn anything_else_is_refused_with_the_kinds_that_there_are(#[case] text: &str) {
        let error = text.parse::<Target>().unwrap_err();
        assert!(error.to_string().starts_with(&format!("'{text}' is not KIND/NAME: kinds are ij")), "{error}");
    }

    #[test]
    fn the_short_names_are_those_of_the_crds() {
        for (kind, known) in Kind::ALL.into_iter().zip([
            IngestionJob::shortnames(),
            EmbeddingBatch::shortnames(),
            MaintenanceSchedule::shortnames(),
        ]) {
            assert_eq!(known, [kind.short()]);
        }
    }
}
