//! Documents of each format with seeded damage: every one is read, or refused with a reason. In this process, where no
//! limit of a parser process helps; `isolation.rs` has those.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, panic::catch_unwind, path::PathBuf};

use lexigram_api::failure::FailureCategory;
use lexigram_worker::{failure::Classified, parse::parse_unprotected};
use rstest::rstest;

/// Damaged copies of each document.
const MUTANTS: u64 = 300;

/// Numbers that look like chance and are the same on every run (xorshift64*).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit.max(1)
    }
}

/// The document with one to eight damages: a byte changed, a part cut out, doubled or zeroed, the end gone.
fn mutant(document: &[u8], seed: u64) -> Vec<u8> {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut mutant = document.to_vec();
    for _ in 0..=chance.below(8) {
        let start = chance.below(mutant.len());
        let end = (start + 1 + chance.below(64)).min(mutant.len());
        match chance.below(8) {
            0 => mutant.truncate(start),
            1 => drop(mutant.drain(start..end)),
            2 => mutant[start..end].fill(0),
            3 => {
                let part = mutant[start..end].to_vec();
                mutant.splice(start..start, part);
            }
            _ if start < end => mutant[start] = u8::try_from(chance.below(256)).unwrap(),
            _ => {}
        }
    }
    mutant
}

#[rstest]
fn damage_is_survived(#[files("tests/fixtures/good/*")] path: PathBuf) {
    let document = fs::read(&path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut panics = Vec::new();
    for seed in 0..MUTANTS {
        let mutant = mutant(&document, seed);
        match catch_unwind(|| parse_unprotected(name, None, &mutant)) {
            Ok(Ok(parsed)) => assert!(!parsed.text.trim().is_empty(), "seed {seed}"),
            Ok(Err(error)) => assert_eq!(error.category(), FailureCategory::InvalidInput, "seed {seed}: {error}"),
            Err(_panic) => panics.push(seed),
        }
    }
    assert!(panics.is_empty(), "panics with seeds {panics:?}");
}
