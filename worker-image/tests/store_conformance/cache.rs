//! Vectors that are remembered.

use lexigram_worker::store::CacheKey;

use super::*;

#[rstest]
#[tokio::test]
async fn what_was_put_is_found_by_every_process_and_never_changes(#[values(Kind::Sqlite, Kind::Postgres)] kind: Kind) {
    let fixture = Fixture::new(kind).await;
    let key = |number: u32| CacheKey::new("model@1", false, &number.to_string());
    let (first, second) = (fixture.place.cache().await.unwrap(), fixture.place.cache().await.unwrap());
    first.put("model@1", vec![(key(1), vec![1.0, -2.5]), (key(2), vec![0.0, 3.0])]).await.unwrap();
    second.put("model@1", vec![(key(1), vec![9.0, 9.0])]).await.unwrap();
    let found = second.get(vec![key(2), key(3), key(1)]).await.unwrap();
    assert_eq!(found, [Some(vec![0.0, 3.0]), None, Some(vec![1.0, -2.5])]);
}
