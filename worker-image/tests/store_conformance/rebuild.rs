//! Another model for a collection.

use lexigram_worker::store::{LeftChunk, Rebuild};

use super::*;

const OTHER: Collection<'_> = Collection { name: "docs", model: "large@2", dimension: 2 };

/// Gives every chunk that lacks one a vector, `step` at a time, and returns how many that were.
async fn fill(rebuild: &dyn Rebuild, step: usize) -> usize {
    let mut filled = 0;
    loop {
        let left = rebuild.left(step).await.unwrap();
        if left.is_empty() {
            return filled;
        }
        filled += left.len();
        let vector = |chunk: &LeftChunk| vec![1.0, f32::from(u8::try_from(chunk.text.len()).unwrap())];
        let embedded = left
            .into_iter()
            .map(|chunk| {
                let vector = vector(&chunk);
                (chunk, vector)
            })
            .collect();
        rebuild.carry_over(embedded).await.unwrap();
    }
}

#[rstest]
#[tokio::test]
async fn the_old_vectors_serve_until_all_new_ones_are_there(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1"), ("b.md", "1")]).await;
    fixture.complete(&fixture.claim(&run).await.unwrap(), "x", 5).await;
    let rebuild = fixture.place.rebuild(&OTHER, Duration::ZERO).await.unwrap();
    assert_eq!(fill(&*rebuild, 2).await, 5);
    // a run of the model in use adds some, and takes some away
    fixture.complete(&fixture.claim(&run).await.unwrap(), "x", 1).await;
    assert!(!rebuild.finish().await.unwrap(), "one lacks its vector");
    assert_eq!(fixture.texts().await.len(), 6);
    assert_eq!(fill(&*rebuild, 2).await, 1);
    assert!(rebuild.finish().await.unwrap());
    // whoever works with the old model is told
    let refused = fixture.store.search(&[1.0, 0.0, 0.0, 0.0], 1).await.unwrap_err();
    assert!(matches!(refused, StoreError::ModelReplaced { .. }), "{refused}");
    let opened = fixture.place.open().await.unwrap();
    assert_eq!(opened.model().await.unwrap(), "large@2");
    assert_eq!(opened.search(&[1.0, 1.0], 100).await.unwrap().len(), 6);
}

#[rstest]
#[tokio::test]
async fn a_rebuild_goes_on_where_one_for_the_same_model_ended(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let run = fixture.list("r1", &[("a.md", "1")]).await;
    fixture.complete(&fixture.claim(&run).await.unwrap(), "x", 5).await;
    let rebuild = fixture.place.rebuild(&OTHER, Duration::ZERO).await.unwrap();
    let left = rebuild.left(3).await.unwrap();
    rebuild.carry_over(left.into_iter().map(|chunk| (chunk, vec![1.0, 0.0])).collect()).await.unwrap();
    let refused = fixture.place.rebuild(&OTHER, Duration::ZERO).await.err().unwrap();
    assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");
    drop(rebuild);
    let patience = Duration::from_secs(10);
    let rebuild = fixture.place.rebuild(&OTHER, patience).await.unwrap();
    assert_eq!(rebuild.left(100).await.unwrap().len(), 2);
    drop(rebuild);
    let third = Collection { model: "third@1", ..OTHER };
    let rebuild = fixture.place.rebuild(&third, patience).await.unwrap();
    assert_eq!(rebuild.left(100).await.unwrap().len(), 5, "what was made for another model is of no use");
}
