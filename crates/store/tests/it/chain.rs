//! What the hash chain and its checkpoints show: every kind of change to the log is found and named.

use nexus_core::{
    chain::Checkpoint,
    store::{Redact, Store, Trim},
    time::Timestamp,
};
use nexus_store::{VerifyError, restore, verify, verify_pages};
use ring::signature::Ed25519KeyPair;

use crate::support::{append, edit, folder_with, open, shared};

fn checkpoint(store: &dyn Store) -> Checkpoint {
    let document = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new()).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap();
    let head = store.head();
    Checkpoint::sign(&key, head.epoch, head.seq, &head.hash, Timestamp::from_secs(1))
}

/// A record edited by hand is found, and its seq named.
/// N-028
#[tokio::test]
async fn a_record_edited_by_hand_is_found_and_its_seq_named() {
    let edits = [
        "UPDATE events SET data = CAST(replace(CAST(data AS TEXT), '6', '7') AS BLOB) WHERE seq = 7",
        "UPDATE events SET data = CAST(X'00' || substr(data, 2) AS BLOB) WHERE seq = 7",
        "UPDATE events SET time = time + 1, lag = lag + 1 WHERE seq = 7",
        "UPDATE events SET subject = 'someone' WHERE seq = 7",
        "UPDATE events SET correlation = '' WHERE seq = 7",
        "UPDATE events SET priority = 2 WHERE seq = 7",
        "UPDATE events SET depth = 1 WHERE seq = 7",
        "UPDATE events SET salt = zeroblob(16) WHERE seq = 7",
        "UPDATE events SET id = randomblob(16) WHERE seq = 7",
        "UPDATE events SET hash = zeroblob(32) WHERE seq = 7",
        "UPDATE events SET digest = zeroblob(32), salt = NULL, data = NULL WHERE seq = 7",
        "INSERT INTO sources(id, name) VALUES(2, 'other'); UPDATE events SET source = 2 WHERE seq = 7",
        "INSERT INTO types(id, name) VALUES(2, 'x.y'); UPDATE events SET type = 2 WHERE seq = 7",
    ];
    for sql in edits {
        let folder = folder_with(10).await;
        verify(folder.path(), None).unwrap();
        edit(folder.path(), sql);
        let found = verify(folder.path(), None);
        assert!(matches!(found, Err(VerifyError::Changed { seq: 7 })), "{sql}: {found:?}");
        let store = shared(open(folder.path()));
        let found = verify_pages(store.as_ref(), None).await;
        assert!(matches!(found, Err(VerifyError::Changed { seq: 7 })), "online, {sql}: {found:?}");
    }
    let folder = folder_with(10).await;
    edit(folder.path(), "UPDATE events SET type = 99 WHERE seq = 7");
    assert!(matches!(verify(folder.path(), None), Err(VerifyError::Unreadable { seq: 7, .. })));
}

#[tokio::test]
async fn a_missing_and_a_moved_row_are_found_and_named() {
    let folder = folder_with(10).await;
    edit(folder.path(), "DELETE FROM events WHERE seq IN (4, 5)");
    assert!(matches!(verify(folder.path(), None), Err(VerifyError::Missing { seq: 4, next: 6 })));
    let folder = folder_with(10).await;
    edit(
        folder.path(),
        "UPDATE events SET seq = -3 WHERE seq = 3; UPDATE events SET seq = 3 WHERE seq = 4; \
         UPDATE events SET seq = 4 WHERE seq = -3",
    );
    assert!(matches!(verify(folder.path(), None), Err(VerifyError::Changed { seq: 3 })));
    let folder = folder_with(10).await;
    edit(folder.path(), "DELETE FROM events WHERE seq = 1");
    assert!(matches!(verify(folder.path(), None), Err(VerifyError::Missing { seq: 1, next: 2 })));
}

#[tokio::test]
async fn a_cut_tail_and_a_rewritten_log_are_found_by_a_checkpoint() {
    let folder = folder_with(10).await;
    let store = open(folder.path());
    let signed = checkpoint(&store);
    append(&store, "11").await;
    store.close().await;
    assert_eq!(verify(folder.path(), Some(&signed)).unwrap().compared, Some(true));
    edit(folder.path(), "DELETE FROM events WHERE seq > 8");
    assert_eq!(verify(folder.path(), None).unwrap().last, 8, "a chain alone does not show it");
    let found = verify(folder.path(), Some(&signed));
    assert!(matches!(found, Err(VerifyError::Cut { last: 8, checkpoint: 10 })), "{found:?}");
    let store = open(folder.path());
    for n in 0..3 {
        append(&store, &format!("\"other {n}\"")).await;
    }
    let online = verify_pages(&store, Some(&signed)).await;
    assert!(matches!(online, Err(VerifyError::Rewritten { seq: 10 })), "{online:?}");
    store.close().await;
    assert!(matches!(verify(folder.path(), Some(&signed)), Err(VerifyError::Rewritten { seq: 10 })));
    let forged = Checkpoint { seq: 8, ..signed };
    assert!(matches!(verify(folder.path(), Some(&forged)), Err(VerifyError::Signature)));
}

#[tokio::test]
async fn a_trimmed_and_redacted_log_verifies_from_its_anchor() {
    let folder = folder_with(30).await;
    let store = open(folder.path());
    let before = checkpoint(&store);
    let id = store.read(Default::default(), nexus_core::store::Limit::items(30)).await.unwrap()[24].id;
    assert_eq!(store.redact(Redact::Event(id)).await.unwrap(), [25]);
    let trim = Trim { erase_before: 21, types: vec![], drop_before: 11, limit: 1_000 };
    assert!(!store.trim(trim).await.unwrap().more);
    let report = verify_pages(&store, Some(&before)).await.unwrap();
    assert_eq!((report.first, report.last, report.erased, report.present), (11, 30, 11, 9));
    store.close().await;
    let report = verify(folder.path(), Some(&before)).unwrap();
    assert_eq!((report.first, report.erased, report.present, report.compared), (11, 11, 9, Some(true)));
    let store = open(folder.path());
    assert_eq!((store.head().first, store.head().seq), (11, 30));
    store.close().await;
    edit(folder.path(), "DELETE FROM events WHERE seq = 11");
    assert!(matches!(verify(folder.path(), None), Err(VerifyError::Missing { seq: 11, next: 12 })));
}

#[tokio::test]
async fn a_log_dropped_whole_goes_on_from_its_anchor() {
    let folder = folder_with(5).await;
    let store = open(folder.path());
    let head = store.head();
    let trim = Trim { erase_before: 6, types: vec![], drop_before: 6, limit: 1_000 };
    assert!(!store.trim(trim).await.unwrap().more);
    store.close().await;
    let store = open(folder.path());
    let reopened = store.head();
    assert_eq!((reopened.seq, reopened.first, reopened.hash, reopened.time), (5, 6, head.hash, head.time));
    assert_eq!(append(&store, "1").await.seq, 6);
    store.close().await;
    assert_eq!(verify(folder.path(), None).unwrap().present, 1);
}

#[tokio::test]
async fn a_restored_backup_goes_on_in_a_new_epoch() {
    let folder = folder_with(10).await;
    let store = open(folder.path());
    let signed = checkpoint(&store);
    let copies = tempfile::tempdir().unwrap();
    let backup = copies.path().join("copy.db");
    store.backup(&backup).await.unwrap();
    assert!(store.backup(&backup).await.is_err(), "never over an existing file");
    append(&store, "lost").await;
    let head = store.head();
    let place = tempfile::tempdir().unwrap();
    let restored = restore(&backup, place.path()).unwrap();
    assert_eq!((restored.epoch, restored.seq, restored.time), (2, 10, head.time));
    assert!(restore(&backup, place.path()).is_err(), "never over another log");
    let second = open(place.path());
    assert_eq!(second.head(), restored);
    assert_eq!(append(&second, "after").await.seq, 11);
    let report = verify_pages(&second, Some(&signed)).await.unwrap();
    assert_eq!((report.epoch, report.last, report.compared), (2, 11, Some(true)));
    second.close().await;
    verify(place.path(), Some(&signed)).unwrap();
    edit(place.path(), "UPDATE events SET depth = 9 WHERE seq = 2");
    assert!(restore(&place.path().join("nexus.db"), &copies.path().join("new")).is_err(), "an unsound one is refused");
}
