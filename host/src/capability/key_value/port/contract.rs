//! What every adapter of [`KeyValueStore`] must do. `key_value_contract!(expression)` makes one test of each, with a
//! new, empty store that the expression gives together with what must outlive it.

use super::{KeyValueError, KeyValueStore, MAX_BATCH, MAX_KEY_BYTES, Swap};
use std::sync::Arc;

type Store = Arc<dyn KeyValueStore>;

/// One test for each promise, over the store of `$fixture: (_, Arc<dyn KeyValueStore>)`.
macro_rules! key_value_contract {
    ($fixture:expr) => {
        $crate::capability::key_value::port::contract::key_value_contract!(
            $fixture;
            a_value_is_read_back_replaced_and_deleted
            any_bytes_and_any_text_are_kept
            a_key_or_a_batch_beyond_its_bound_is_refused
            keys_come_in_pages_each_once
            increments_from_many_threads_are_all_counted
            increment_refuses_what_is_no_number
            compare_and_swap_changes_only_the_expected
            of_many_swaps_one_wins
            batches_keep_order_and_are_whole
            an_operation_given_up_happens_whole_or_not
        );
    };
    ($fixture:expr; $($promise:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            let (_outlives, store) = $fixture;
            $crate::capability::key_value::port::contract::$promise(store).await;
        }
    )*};
}
pub(crate) use key_value_contract;

pub(crate) async fn a_value_is_read_back_replaced_and_deleted(store: Store) {
    assert_eq!(store.get("a".into()).await, Ok(None));
    assert_eq!(store.exists("a".into()).await, Ok(false));
    store.set("a".into(), b"1".to_vec()).await.unwrap();
    store.set("a".into(), b"2".to_vec()).await.unwrap();
    assert_eq!(store.get("a".into()).await, Ok(Some(b"2".to_vec())));
    assert_eq!(store.exists("a".into()).await, Ok(true));
    store.delete("a".into()).await.unwrap();
    assert_eq!(store.get("a".into()).await, Ok(None));
    assert_eq!(
        store.delete("a".into()).await,
        Ok(()),
        "deleting what is not there is no error"
    );
}

pub(crate) async fn any_bytes_and_any_text_are_kept(store: Store) {
    let keys = [
        "",
        "nul\0inside",
        "ключ",
        "%_'\"; DROP TABLE x; --",
        "A",
        "a",
        &"k".repeat(MAX_KEY_BYTES),
    ];
    for (index, key) in keys.iter().enumerate() {
        let value = if index == 0 {
            Vec::new()
        } else {
            (0..=255).cycle().take(index * 1000).collect()
        };
        store.set((*key).to_owned(), value.clone()).await.unwrap();
        assert_eq!(store.get((*key).to_owned()).await, Ok(Some(value)), "{key:?}");
    }
    let page = store.keys_after(None, MAX_BATCH).await.unwrap();
    let mut sorted: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    sorted.sort();
    assert_eq!(page.keys, sorted, "keys are distinct and ordered by their bytes");
}

pub(crate) async fn a_key_or_a_batch_beyond_its_bound_is_refused(store: Store) {
    let long = "k".repeat(MAX_KEY_BYTES + 1);
    let refused = KeyValueError::KeyTooLong {
        bytes: MAX_KEY_BYTES + 1,
    };
    assert_eq!(store.get(long.clone()).await, Err(refused.clone()));
    assert_eq!(store.set(long.clone(), vec![]).await, Err(refused.clone()));
    assert_eq!(store.delete(long.clone()).await, Err(refused.clone()));
    assert_eq!(store.exists(long.clone()).await, Err(refused.clone()));
    assert_eq!(store.increment(long.clone(), 1).await, Err(refused.clone()));
    assert_eq!(
        store.compare_and_swap(long.clone(), None, vec![]).await,
        Err(refused.clone())
    );
    assert_eq!(
        store.get_many(vec!["a".into(), long.clone()]).await,
        Err(refused.clone())
    );
    assert_eq!(
        store
            .set_many(vec![("a".into(), vec![]), (long.clone(), vec![])])
            .await,
        Err(refused.clone())
    );
    assert_eq!(store.delete_many(vec![long]).await, Err(refused));
    let many: Vec<String> = (0..=MAX_BATCH).map(|index| index.to_string()).collect();
    let refused = KeyValueError::BatchTooLong { keys: MAX_BATCH + 1 };
    assert_eq!(store.get_many(many.clone()).await, Err(refused.clone()));
    assert_eq!(store.delete_many(many.clone()).await, Err(refused.clone()));
    let pairs = many.into_iter().map(|key| (key, vec![])).collect();
    assert_eq!(store.set_many(pairs).await, Err(refused));
    assert!(
        store.keys_after(None, 10).await.unwrap().keys.is_empty(),
        "nothing was written"
    );
}

pub(crate) async fn keys_come_in_pages_each_once(store: Store) {
    let all: Vec<String> = (0..25).map(|index| format!("key-{index:02}")).collect();
    store
        .set_many(all.iter().rev().map(|key| (key.clone(), vec![])).collect())
        .await
        .unwrap();
    let (mut seen, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = store.keys_after(cursor, 10).await.unwrap();
        pages += 1;
        seen.extend(page.keys);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
        // What is deleted behind or at the cursor shifts nothing.
        store.delete(seen.last().unwrap().clone()).await.unwrap();
    }
    assert_eq!((seen, pages), (all, 3));
    assert_eq!(
        store.keys_after(None, 0).await.unwrap().keys.len(),
        1,
        "a page has at least one key"
    );
}

pub(crate) async fn increments_from_many_threads_are_all_counted(store: Store) {
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for _ in 0..10 {
                    store.increment("counter".into(), 2).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.get("counter".into()).await, Ok(Some(b"160".to_vec())));
    assert_eq!(store.increment("counter".into(), -161).await, Ok(-1));
}

pub(crate) async fn increment_refuses_what_is_no_number(store: Store) {
    for value in [&b"12a"[..], b"", &[0xff], b"1.5", b"9223372036854775808"] {
        store.set("x".into(), value.to_vec()).await.unwrap();
        assert_eq!(
            store.increment("x".into(), 1).await,
            Err(KeyValueError::NotANumber),
            "{value:?}"
        );
        assert_eq!(store.get("x".into()).await, Ok(Some(value.to_vec())));
    }
    store
        .set("x".into(), i64::MAX.to_string().into_bytes())
        .await
        .unwrap();
    assert_eq!(store.increment("x".into(), 1).await, Err(KeyValueError::Overflow));
    assert_eq!(store.increment("x".into(), -1).await, Ok(i64::MAX - 1));
}

pub(crate) async fn compare_and_swap_changes_only_the_expected(store: Store) {
    let swap = |expected: Option<&[u8]>, value: &[u8]| {
        store.compare_and_swap("x".into(), expected.map(<[u8]>::to_vec), value.to_vec())
    };
    assert_eq!(swap(Some(b"1"), b"2").await, Ok(Swap::Changed { current: None }));
    assert_eq!(swap(None, b"1").await, Ok(Swap::Swapped));
    assert_eq!(
        swap(None, b"3").await,
        Ok(Swap::Changed {
            current: Some(b"1".to_vec())
        })
    );
    assert_eq!(swap(Some(b"1"), b"2").await, Ok(Swap::Swapped));
    assert_eq!(store.get("x".into()).await, Ok(Some(b"2".to_vec())));
}

pub(crate) async fn of_many_swaps_one_wins(store: Store) {
    let swaps = (0..8_u8).map(|index| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.compare_and_swap("x".into(), None, vec![index]).await })
    });
    let mut won = 0;
    for swap in swaps.collect::<Vec<_>>() {
        won += usize::from(swap.await.unwrap() == Ok(Swap::Swapped));
    }
    assert_eq!(won, 1);
}

pub(crate) async fn batches_keep_order_and_are_whole(store: Store) {
    store
        .set_many(vec![
            ("a".into(), b"1".to_vec()),
            ("b".into(), b"2".to_vec()),
            ("a".into(), b"3".to_vec()),
        ])
        .await
        .unwrap();
    let values = store
        .get_many(vec!["b".into(), "missing".into(), "a".into(), "b".into()])
        .await
        .unwrap();
    assert_eq!(
        values,
        [
            Some(b"2".to_vec()),
            None,
            Some(b"3".to_vec()),
            Some(b"2".to_vec())
        ]
    );
    store
        .delete_many(vec!["a".into(), "missing".into()])
        .await
        .unwrap();
    assert_eq!(
        store.get_many(vec!["a".into(), "b".into()]).await.unwrap(),
        [None, Some(b"2".to_vec())]
    );
    assert_eq!(store.get_many(vec![]).await, Ok(vec![]));
    assert_eq!(store.set_many(vec![]).await, Ok(()));
}

pub(crate) async fn an_operation_given_up_happens_whole_or_not(store: Store) {
    for round in 0..20_u8 {
        let pairs = (0..50)
            .map(|index| (format!("{index:02}"), vec![round]))
            .collect();
        // Polled once, so that it has begun or stands in line, then dropped.
        let _ = futures::FutureExt::now_or_never(store.set_many(pairs));
        let values = store
            .get_many((0..50).map(|index| format!("{index:02}")).collect())
            .await
            .unwrap();
        assert!(
            values.windows(2).all(|pair| pair[0] == pair[1]),
            "round {round}: {values:?}"
        );
    }
}
