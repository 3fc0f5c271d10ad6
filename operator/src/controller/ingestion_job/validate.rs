//! What the API server cannot check about a source: globs. No I/O.

use globset::GlobBuilder;
use lexigram_api::resource::Source;

use crate::controller::job::validate::Invalid;

/// Checks a source that the API server has let pass.
///
/// # Errors
/// The first glob that cannot be used.
pub(super) fn source(source: &Source) -> Result<(), Invalid> {
    for (name, globs) in [("include", &source.include), ("exclude", &source.exclude)] {
        for (index, glob) in globs.iter().enumerate() {
            GlobBuilder::new(glob).literal_separator(true).build().map_err(|error| Invalid {
                field: format!("spec.source.{name}[{index}]"),
                value: glob.clone(),
                expected: "glob",
                problem: error.kind().to_string(),
                correctable: false,
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn globs(include: &[&str], exclude: &[&str]) -> Source {
        let owned = |globs: &[&str]| globs.iter().map(ToString::to_string).collect();
        Source { include: owned(include), exclude: owned(exclude), ..Default::default() }
    }

    #[rstest]
    #[case::include(&["**/*.md", "[a"], &[], "spec.source.include[1]: '[a' is no glob (unclosed character class; missing ']')")]
    #[case::exclude(&[], &["{a,b"], "spec.source.exclude[0]: '{a,b' is no glob (unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?))")]
    fn names_the_field_and_the_problem(#[case] include: &[&str], #[case] exclude: &[&str], #[case] message: &str) {
        let invalid = source(&globs(include, exclude)).unwrap_err();
        assert_eq!(invalid.to_string(), format!("{message}; correct it in a new object, since the field is immutable"));
    }

    #[test]
    fn a_good_glob_passes() {
        assert_eq!(source(&globs(&["**/*.{md,txt}"], &[])), Ok(()));
    }
}
