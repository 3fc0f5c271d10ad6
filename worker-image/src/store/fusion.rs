//! Searches by words, and by words and meaning together. No I/O.
//!
//! Scores of the two cannot be compared; ranks can: reciprocal rank fusion adds 1 / (60 + rank) over the lists in which a
//! chunk stands (Cormack, Clarke, Büttcher: "Reciprocal rank fusion outperforms Condorcet and individual rank learning
//! methods", SIGIR 2009).

use std::collections::HashMap;

use uuid::Uuid;

use super::Hit;

/// Ranks that the first places of a list are worth less apart for; the value of the paper.
const K: f64 = 60.0;
/// Words of a query that count.
const MOST_WORDS: usize = 64;

/// The words of a query, in lower case, each once: runs of letters and digits, as both stores cut texts.
#[must_use]
pub fn words(query: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in query.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        if words.len() < MOST_WORDS && !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// The best `limit` hits of several lists, each with its fused score. Among equals the order of the first list holds.
#[must_use]
pub fn fuse(lists: Vec<Vec<Hit>>, limit: usize) -> Vec<Hit> {
    let (mut fused, mut places): (Vec<Hit>, HashMap<Uuid, usize>) = (Vec::new(), HashMap::new());
    for list in lists {
        for (rank, hit) in (1_u32..).zip(list) {
            let place = *places.entry(hit.id).or_insert_with(|| {
                fused.push(Hit { score: 0.0, ..hit });
                fused.len() - 1
            });
            fused[place].score += 1.0 / (K + f64::from(rank));
        }
    }
    fused.sort_by(|one, other| other.score.total_cmp(&one.score));
    fused.truncate(limit);
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(id: u128) -> Hit {
        Hit {
            id: Uuid::from_u128(id),
            score: 0.5,
            scope: String::new(),
            document: String::new(),
            ordinal: 0,
            headings: Vec::new(),
            page: None,
            text: String::new(),
            metadata: None,
        }
    }

    #[test]
    fn what_stands_in_both_lists_comes_first() {
        let fused = fuse(vec![vec![hit(1), hit(2), hit(3)], vec![hit(4), hit(3)]], 3);
        let ids: Vec<u128> = fused.iter().map(|hit| hit.id.as_u128()).collect();
        assert_eq!(ids, [3, 1, 4]);
        assert!((fused[0].score - (1.0 / 63.0 + 1.0 / 62.0)).abs() < 1e-12, "{}", fused[0].score);
        assert!((fused[1].score - 1.0 / 61.0).abs() < 1e-12, "{}", fused[1].score);
    }

    #[test]
    fn a_query_is_cut_into_words() {
        assert_eq!(words("What's Ünder § 12-b? what"), ["what", "s", "ünder", "12", "b"]);
        assert_eq!(words("'; DROP TABLE chunks; --"), ["drop", "table", "chunks"]);
        assert!(words(" -- ").is_empty());
    }
}
