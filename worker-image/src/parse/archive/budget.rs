//! What all members of one document may come to, however deep they are packed. No I/O beyond the reader it is given.

use std::io::Read;

use crate::parse::ParseError;

/// Containers in each other: a mail with an archive of archives needs four, a `.tar.gz` counts as two.
const MAX_DEPTH: usize = 6;

/// Members of all containers together.
const MAX_MEMBERS: usize = 10_000;

/// Bytes that any document may unpack to, however small it is.
const ALWAYS_ALLOWED_BYTES: u64 = 16 * 1024 * 1024;

/// Bytes that no document may unpack to.
pub(super) const MAX_EXPANDED_BYTES: u64 = 256 * 1024 * 1024;

/// How many times its size a document may unpack to; the XML of real documents gets to 20, seldom to 100.
const MAX_RATIO: u64 = 200;

/// Bytes that a document of that size may unpack to.
pub(in crate::parse) fn allowed_bytes(size: usize) -> u64 {
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    size.saturating_mul(MAX_RATIO).clamp(ALWAYS_ALLOWED_BYTES, MAX_EXPANDED_BYTES)
}

/// What is left of the limits.
#[derive(Debug)]
pub(in crate::parse) struct Budget {
    allowed: u64,
    bytes: u64,
    members: usize,
    depth: usize,
}

impl Budget {
    /// The limits for a document of that size.
    pub(in crate::parse) fn of(size: usize) -> Self {
        let allowed = allowed_bytes(size);
        Self { allowed, bytes: allowed, members: MAX_MEMBERS, depth: MAX_DEPTH }
    }

    /// Works on the members of a container.
    pub(in crate::parse) fn within<T>(
        &mut self,
        format: &str,
        work: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.depth = self.depth.checked_sub(1).ok_or_else(|| ParseError::TooDeep {
            format: format.to_owned(),
            problem: format!("more than {MAX_DEPTH} archives or mails within each other"),
        })?;
        let result = work(self);
        self.depth += 1;
        result
    }

    /// Counts a member.
    pub(in crate::parse) fn member(&mut self, format: &str) -> Result<(), ParseError> {
        self.members = self.members.checked_sub(1).ok_or_else(|| ParseError::Bomb {
            format: format.to_owned(),
            problem: format!("more than {MAX_MEMBERS} files"),
        })?;
        Ok(())
    }

    /// Unpacks a member.
    pub(in crate::parse) fn unpack(&mut self, format: &str, packed: impl Read) -> Result<Vec<u8>, ParseError> {
        let mut content = Vec::new();
        let unpacked = packed.take(self.bytes + 1).read_to_end(&mut content);
        self.bytes = self.bytes.checked_sub(u64::try_from(content.len()).unwrap_or(u64::MAX)).ok_or_else(|| {
            let problem = format!("more than {} MiB", self.allowed / (1024 * 1024));
            ParseError::Bomb { format: format.to_owned(), problem }
        })?;
        match unpacked {
            Ok(_) => Ok(content),
            Err(error) => Err(ParseError::Damaged { format: format.to_owned(), problem: error.to_string() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::repeat;

    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(1, ALWAYS_ALLOWED_BYTES)]
    #[case(1 << 20, 200 << 20)]
    #[case(1 << 30, MAX_EXPANDED_BYTES)]
    fn what_is_allowed_grows_with_the_document(#[case] size: usize, #[case] allowed: u64) {
        assert_eq!(allowed_bytes(size), allowed);
    }

    #[test]
    fn bytes_are_counted_over_all_members() {
        let mut budget = Budget::of(1);
        assert_eq!(budget.unpack("ZIP", repeat(b'a').take(10 << 20)).unwrap().len(), 10 << 20);
        let error = budget.unpack("ZIP", repeat(b'a').take(10 << 20)).unwrap_err();
        assert_eq!(error.to_string(), "the ZIP unpacks to more than is allowed: more than 16 MiB");
    }

    #[test]
    fn depth_is_given_back_and_members_are_not() {
        let mut budget = Budget::of(1);
        for _ in 0..MAX_MEMBERS {
            budget.within("ZIP", |budget| budget.member("ZIP")).unwrap();
        }
        let error = budget.member("ZIP").unwrap_err();
        assert_eq!(error.to_string(), "the ZIP unpacks to more than is allowed: more than 10000 files");
    }

    #[test]
    fn depth_is_limited() {
        fn dive(budget: &mut Budget) -> Result<(), ParseError> {
            budget.within("ZIP", dive)
        }
        assert!(matches!(dive(&mut Budget::of(1)), Err(ParseError::TooDeep { .. })));
    }
}
