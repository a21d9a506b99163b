//! What the hash chain and its checkpoints show: every kind of change to the log is found and named.

use std::sync::{LazyLock, Mutex};

use nexus_core::{
    chain::{Checkpoint, Signer},
    store::{Limit, Redact, SeqRange, Store, Trim},
    time::Timestamp,
};
use nexus_store::{
    Checks, VerifyError,
    conformance::signer,
    restore, verify,
    verify::{Phase, restore_with, verify_with},
    verify_pages,
};
use proptest::prelude::*;

use crate::support::{append, edit, folder_with, open, shared};

fn checkpoint(store: &dyn Store) -> Checkpoint {
    let head = store.head();
    signer().checkpoint(head.epoch, head.seq, &head.hash, Timestamp::from_secs(1))
}

fn trim(erase_before: u64, drop_before: u64) -> Trim {
    Trim { erase_before, types: vec![], drop_before, limit: 1_000, signer: signer() }
}

/// Held against a checkpoint and this hub's key.
fn checks(against: Option<&Checkpoint>) -> Checks<'_> {
    static KEYS: LazyLock<[String; 1]> = LazyLock::new(|| [signer().public_key()]);
    Checks { against, signers: &*KEYS, progress: None }
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
        let found = verify_pages(store.as_ref(), &checks(None)).await;
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
    let online = verify_pages(&store, &checks(Some(&signed))).await;
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
    assert_eq!(store.redact(Redact::Event(id)).await.unwrap().erased, [25]);
    assert!(!store.trim(trim(21, 11)).await.unwrap().more);
    let report = verify_pages(&store, &checks(Some(&before))).await.unwrap();
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
    assert!(!store.trim(trim(6, 6)).await.unwrap().more);
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
    let report = verify_pages(&second, &checks(Some(&signed))).await.unwrap();
    assert_eq!((report.epoch, report.last, report.compared), (2, 11, Some(true)));
    second.close().await;
    verify(place.path(), Some(&signed)).unwrap();
    edit(place.path(), "UPDATE events SET depth = 9 WHERE seq = 2");
    assert!(restore(&place.path().join("nexus.db"), &copies.path().join("new")).is_err(), "an unsound one is refused");
}

/// A log whose beginning was dropped verifies against the signed statement about the cut, and says so.
#[tokio::test]
async fn a_cut_log_verifies_against_its_own_signed_cut() {
    let folder = folder_with(30).await;
    let store = open(folder.path());
    assert!(!store.trim(trim(11, 11)).await.unwrap().more);
    let online = verify_pages(&store, &checks(None)).await.unwrap();
    store.close().await;
    let offline = verify_with(folder.path(), &checks(None)).unwrap();
    assert_eq!(online, offline);
    let cut = offline.cut.unwrap();
    assert_eq!((cut.seq, cut.known, cut.public_key), (10, Some(true), signer().public_key()));
    let unsure = verify(folder.path(), None).unwrap().cut.unwrap();
    assert_eq!((unsure.seq, unsure.known), (10, None), "without a key it is only told who signed");
}

/// Whoever cuts the log without the hub's key is found: no statement, another's, one about another place, one of before.
#[tokio::test]
async fn a_cut_by_anyone_else_is_found() {
    let hex = |bytes: &[u8]| data_encoding(bytes);
    let folder = folder_with(30).await;
    let store = open(folder.path());
    let hashes: Vec<_> =
        store.read(SeqRange::default(), Limit::items(30)).await.unwrap().iter().map(|e| e.hash).collect();
    assert!(!store.trim(trim(6, 6)).await.unwrap().more);
    store.close().await;
    let cut_at_12 = format!(
        "DELETE FROM events WHERE seq <= 12; UPDATE meta SET value = 12 WHERE key = 'anchor_seq'; \
         UPDATE meta SET value = X'{}' WHERE key = 'anchor_hash'",
        hex(&hashes[11])
    );
    let say = |cut: &Checkpoint| {
        format!("UPDATE meta SET value = '{}' WHERE key = 'cut'", serde_json::to_string(cut).unwrap())
    };
    edit(folder.path(), &cut_at_12);
    let found = verify_with(folder.path(), &checks(None));
    assert!(matches!(found, Err(VerifyError::CutForged { seq: 12, .. })), "the old statement: {found:?}");
    let stranger = Signer::from_seed(&[9; 32]).unwrap().checkpoint(1, 12, &hashes[11], Timestamp::from_secs(9));
    edit(folder.path(), &say(&stranger));
    let found = verify_with(folder.path(), &checks(None));
    assert!(
        matches!(&found, Err(VerifyError::CutForeign { seq: 12, public_key }) if *public_key == stranger.public_key)
    );
    let store = open(folder.path());
    let found = verify_pages(&store, &checks(None)).await;
    assert!(matches!(found, Err(VerifyError::CutForeign { seq: 12, .. })), "online: {found:?}");
    store.close().await;
    let claimed = Checkpoint { public_key: signer().public_key(), ..stranger };
    edit(folder.path(), &say(&claimed));
    let found = verify_with(folder.path(), &checks(None));
    assert!(matches!(found, Err(VerifyError::CutForged { seq: 12, .. })), "another's signature: {found:?}");
    edit(folder.path(), "DELETE FROM meta WHERE key = 'cut'");
    let found = verify(folder.path(), None);
    assert!(matches!(found, Err(VerifyError::CutUnsigned { seq: 12 })), "{found:?}");
    let found = restore(&folder.path().join("nexus.db"), &folder.path().join("restored"));
    assert!(found.is_err(), "nor is it restored");
    // The whole log and its anchor gone, with the statement left behind.
    let folder = folder_with(9).await;
    let store = open(folder.path());
    assert!(!store.trim(trim(6, 6)).await.unwrap().more);
    store.close().await;
    edit(folder.path(), "DELETE FROM events; DELETE FROM meta WHERE key LIKE 'anchor%'");
    let found = verify(folder.path(), None);
    assert!(matches!(found, Err(VerifyError::CutForged { seq: 0, .. })), "{found:?}");
}

fn data_encoding(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test]
async fn long_work_tells_how_far_it_is() {
    let folder = folder_with(2_500).await;
    let told = Mutex::new(Vec::new());
    let hear = |phase, done, of| told.lock().unwrap().push((phase, done, of));
    let listening = Checks { progress: Some(&hear), ..Checks::default() };
    let target = tempfile::tempdir().unwrap();
    restore_with(&folder.path().join("nexus.db"), target.path(), &listening).unwrap();
    let told = told.into_inner().unwrap();
    let walked: Vec<_> =
        told.iter().filter(|(phase, ..)| *phase == Phase::Walk).map(|(_, done, of)| (*done, *of)).collect();
    assert_eq!(walked, [(0, 2_500), (1_000, 2_500), (2_000, 2_500), (2_500, 2_500)]);
    assert!(told.iter().any(|(phase, ..)| *phase == Phase::Structure));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever is erased, dropped and redacted, in whatever order: the file verifies, from its signed cut on.
    #[test]
    fn whatever_is_forgotten_the_log_verifies(
        steps in prop::collection::vec((0..4u8, 1..40u64, 1..40u64), 1..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let folder = folder_with(20).await;
            let store = open(folder.path());
            for (kind, a, b) in steps {
                match kind {
                    0 => {
                        append(&store, &"7".repeat(usize::try_from(a * 100).unwrap())).await;
                    }
                    1 => {
                        let seq = store.read(SeqRange { after: a - 1, ..SeqRange::default() }, Limit::items(1)).await.unwrap();
                        if let Some(event) = seq.first() {
                            store.redact(Redact::Event(event.id)).await.unwrap();
                        }
                    }
                    _ => while store.trim(Trim { limit: 7, ..trim(a, b) }).await.unwrap().more {},
                }
            }
            let online = verify_pages(&store, &checks(None)).await.unwrap();
            assert_eq!(online.cut.as_ref().map_or(1, |cut| cut.seq + 1), store.head().first);
            store.close().await;
            assert_eq!(verify_with(folder.path(), &checks(None)).unwrap(), online);
        });
    }
}
