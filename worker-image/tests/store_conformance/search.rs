//! Searches: by vector as an exact scan finds, by words, and by both.

use lexigram_worker::store::{fuse, words};

use super::*;

/// A number between −1 and 1 that depends on nothing but the two given.
fn number(chunk: u64, place: u64) -> f32 {
    let mixed = (chunk * 31 + place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    f32::from(u16::try_from(mixed & 0xffff).unwrap()) / 32_768.0 - 1.0
}

fn vector(chunk: u64) -> Vec<f32> {
    (0..4).map(|place| number(chunk, place)).collect()
}

fn cosine(one: &[f32], other: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

/// Stores documents, each of chunks with these texts; the vectors are those of their numbers.
async fn fill(fixture: &Fixture, documents: usize, texts: &[String]) -> RunKey {
    let names: Vec<String> = (0..documents).map(|document| format!("{document:03}.md")).collect();
    let run = fixture.list("r1", &names.iter().map(|name| (name.as_str(), "1")).collect::<Vec<_>>()).await;
    let mut number = 0;
    while let Some(item) = fixture.claim(&run).await {
        let chunks = texts.iter().zip(0..).map(|(text, ordinal)| {
            number += 1;
            EmbeddedChunk {
                id: Uuid::from_u128(u128::from(number)),
                ordinal,
                text: text.clone(),
                headings: Vec::new(),
                page: None,
                bytes: 0..1,
                tokens: 1,
                vector: vector(number),
            }
        });
        let write = DocumentWrite {
            document: item.document,
            revision: "x".to_owned(),
            pipeline: "p1".to_owned(),
            bytes: 1,
            tokens: 1,
            cached: 0,
            about: About::default(),
            chunks: chunks.collect(),
        };
        fixture.store.complete(write).await.unwrap();
    }
    run
}

/// The ids that a scan of everything finds, nearest first.
fn scan(query: &[f32], chunks: u64, limit: usize) -> Vec<Uuid> {
    let mut all: Vec<(f64, u64)> = (1..=chunks).map(|chunk| (cosine(query, &vector(chunk)), chunk)).collect();
    all.sort_by(|one, other| other.0.total_cmp(&one.0));
    all.into_iter().take(limit).map(|(_, chunk)| Uuid::from_u128(chunk.into())).collect()
}

#[rstest]
#[tokio::test]
async fn a_search_finds_what_a_scan_finds_in_that_order(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fill(&fixture, 5, &vec!["text".to_owned(); 100]).await;
    fixture.store.index(&run).await.unwrap();
    for query in [[1.0, 0.2, -0.3, 0.9], [-0.1, 0.4, 0.8, 0.0]] {
        let hits = fixture.store.search(&query, 20).await.unwrap();
        assert_eq!(hits.iter().map(|hit| hit.id).collect::<Vec<_>>(), scan(&query, 500, 20));
        let exact = cosine(&query, &vector(u64::try_from(hits[0].id.as_u128()).unwrap()));
        assert!((hits[0].score - exact).abs() < 1e-5, "{} and {exact}", hits[0].score);
    }
}

#[tokio::test]
async fn postgres_indexes_a_large_collection_and_still_finds_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::new().await;
    let place = Place::find(&database.location("docs"), 1).unwrap();
    let store = place.create(&COLLECTION, &writer("r1")).await.unwrap();
    let fixture = Fixture { store, place, _folder: folder };
    let indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'lexigram_docs' AND indexdef LIKE '%hnsw%'";
    let run = fill(&fixture, 10, &vec!["text".to_owned(); 1000]).await;
    assert!(database.query("docs", indexes).await.is_empty(), "loading is faster without");
    fixture.store.index(&run).await.unwrap();
    assert_eq!(database.query("docs", indexes).await.len(), 1);
    let query = [1.0, 0.2, -0.3, 0.9];
    let found: Vec<Uuid> = fixture.store.search(&query, 10).await.unwrap().iter().map(|hit| hit.id).collect();
    let exact = scan(&query, 10_000, 10);
    let missed = exact.iter().filter(|id| !found.contains(id)).count();
    assert!(missed <= 1 && found[0] == exact[0], "{found:?} and {exact:?}");
    let plan = "EXPLAIN SELECT id FROM chunks ORDER BY embedding <=> '[1,0,0,0]' LIMIT 5";
    assert!(database.query("docs", plan).await[1][0].contains("chunks_by_embedding"));
}

fn texts() -> Vec<String> {
    [
        "Parental leave lasts twelve months.",
        "Sick leave is paid in full.",
        "The canteen opens at noon; ZX-81 is for sale.",
    ]
    .map(str::to_owned)
    .to_vec()
}

async fn by_words(fixture: &Fixture, query: &str) -> Vec<i32> {
    let hits = fixture.store.search_words(&words(query), 10).await.unwrap();
    hits.iter().map(|hit| hit.ordinal).collect()
}

#[rstest]
#[tokio::test]
async fn words_are_found_wherever_they_stand(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fill(&fixture, 1, &texts()).await;
    assert_eq!(by_words(&fixture, "How long does PARENTAL leave last?").await, [0, 1]);
    assert_eq!(by_words(&fixture, "zx 81").await, [2]);
    assert_eq!(by_words(&fixture, "'; DROP TABLE chunks; --").await, [] as [i32; 0]);
    assert_eq!(by_words(&fixture, "?!").await, [] as [i32; 0]);
    // what is replaced is found no more
    let run = fixture.list("r2", &[("000.md", "2")]).await;
    fixture.complete(&fixture.claim(&run).await.unwrap(), "y", 1).await;
    assert_eq!(by_words(&fixture, "leave").await, [] as [i32; 0]);
    assert_eq!(by_words(&fixture, "md").await, [0]);
}

#[rstest]
#[tokio::test]
async fn meaning_and_words_together(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    fill(&fixture, 1, &texts()).await;
    // the third text is nearest to its own vector, and only the second one holds the word
    let near = fixture.store.search(&vector(3), 10).await.unwrap();
    let worded = fixture.store.search_words(&words("sick"), 10).await.unwrap();
    let fused = fuse(vec![near.clone(), worded], 2);
    let rank = near.iter().position(|hit| hit.ordinal == 1).unwrap();
    let expected = 1.0 / 61.0 + 1.0 / (61.0 + f64::from(u8::try_from(rank).unwrap()));
    assert_eq!((fused[0].ordinal, fused[1].ordinal), (1, 2));
    assert!((fused[0].score - expected).abs() < 1e-12);
}
