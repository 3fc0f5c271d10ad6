//! Which documents of a source are wanted: globs on their names. No I/O.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::SourceError;

/// `include` and `exclude` of a source.
#[derive(Debug)]
pub(super) struct NameFilter {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl NameFilter {
    /// Compiles the globs; no include takes everything.
    pub(super) fn new(include: &[String], exclude: &[String]) -> Result<Self, SourceError> {
        Ok(Self {
            include: if include.is_empty() { None } else { Some(compile("include", include)?) },
            exclude: compile("exclude", exclude)?,
        })
    }

    /// Whether the document is left out, whatever `include` says.
    pub(super) fn excludes(&self, name: &str) -> bool {
        self.exclude.is_match(name)
    }

    /// Whether the document is wanted.
    pub(super) fn accepts(&self, name: &str) -> bool {
        self.include.as_ref().is_none_or(|globs| globs.is_match(name)) && !self.excludes(name)
    }
}

fn compile(field: &str, globs: &[String]) -> Result<GlobSet, SourceError> {
    let invalid = |index: usize, glob: &str, error: globset::Error| SourceError::Glob {
        field: format!("{field}[{index}]"),
        glob: glob.to_owned(),
        problem: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for (index, glob) in globs.iter().enumerate() {
        let compiled = GlobBuilder::new(glob).literal_separator(true).build();
        set.add(compiled.map_err(|error| invalid(index, glob, error))?);
    }
    set.build().map_err(|error| invalid(0, "", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn owned(globs: &[&str]) -> Vec<String> {
        globs.iter().map(ToString::to_string).collect()
    }

    #[rstest]
    #[case::no_glob_takes_everything(&[], &[], "a/b.txt", true)]
    #[case::a_star_stays_in_its_folder(&["*.md"], &[], "a/b.md", false)]
    #[case::two_stars_do_not(&["**/*.md"], &[], "a/b.md", true)]
    #[case::two_stars_match_no_folder_too(&["**/*.md"], &[], "b.md", true)]
    #[case::exclude_wins(&["**/*.md"], &["drafts/**"], "drafts/b.md", false)]
    #[case::alternatives(&["*.{md,txt}"], &[], "b.txt", true)]
    fn filters(#[case] include: &[&str], #[case] exclude: &[&str], #[case] name: &str, #[case] accepted: bool) {
        let filter = NameFilter::new(&owned(include), &owned(exclude)).unwrap();
        assert_eq!(filter.accepts(name), accepted);
    }

    #[test]
    fn a_bad_glob_is_named() {
        let error = NameFilter::new(&owned(&["*.md", "[a"]), &[]).unwrap_err();
        assert!(error.to_string().starts_with("spec.source.include[1]: '[a' is not a glob"), "{error}");
    }
}
