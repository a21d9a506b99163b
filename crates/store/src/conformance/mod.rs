//! What every backend has to pass: plain functions over a store and a clock that the test moves.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failed expectation is a failed test")]

mod bookkeeping;
mod documents;
mod log;
mod retention;
mod rig;

pub use rig::{ITEMS, Item, ManualClock, Rig, event, items, query, signer};

/// One test of the suite.
pub type Case = fn(Rig) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

/// All cases by name.
pub const CASES: &[(&str, Case)] = &[
    ("commits_append_in_order_without_gaps", |rig| Box::pin(log::commits_append_in_order_without_gaps(rig))),
    ("concurrent_commits_leave_no_gap_and_the_hook_sees_them_in_order", |rig| {
        Box::pin(log::concurrent_commits_leave_no_gap_and_the_hook_sees_them_in_order(rig))
    }),
    ("times_in_the_log_never_go_back", |rig| Box::pin(log::times_in_the_log_never_go_back(rig))),
    ("a_repeat_under_its_key_is_stored_once", |rig| Box::pin(log::a_repeat_under_its_key_is_stored_once(rig))),
    ("an_id_that_is_in_the_log_is_a_repeat", |rig| Box::pin(log::an_id_that_is_in_the_log_is_a_repeat(rig))),
    ("a_commit_of_repeats_changes_no_document", |rig| Box::pin(log::a_commit_of_repeats_changes_no_document(rig))),
    ("a_refused_commit_leaves_nothing", |rig| Box::pin(log::a_refused_commit_leaves_nothing(rig))),
    ("reading_keeps_to_its_limits", |rig| Box::pin(log::reading_keeps_to_its_limits(rig))),
    ("queries_find_what_a_look_at_every_event_finds", |rig| {
        Box::pin(log::queries_find_what_a_look_at_every_event_finds(rig))
    }),
    ("the_dictionary_has_a_limit", |rig| Box::pin(log::the_dictionary_has_a_limit(rig))),
    ("what_is_too_large_or_undeclared_is_refused", |rig| {
        Box::pin(log::what_is_too_large_or_undeclared_is_refused(rig))
    }),
    ("versions_count_the_writes_of_a_key", |rig| Box::pin(documents::versions_count_the_writes_of_a_key(rig))),
    ("a_guarded_write_counts_like_any_other", |rig| Box::pin(documents::a_guarded_write_counts_like_any_other(rig))),
    ("a_guard_that_fails_is_named", |rig| Box::pin(documents::a_guard_that_fails_is_named(rig))),
    ("a_unique_index_is_checked_at_the_commits_end", |rig| {
        Box::pin(documents::a_unique_index_is_checked_at_the_commits_end(rig))
    }),
    ("an_exclusive_index_refuses_overlaps", |rig| Box::pin(documents::an_exclusive_index_refuses_overlaps(rig))),
    ("no_two_of_64_writers_get_overlapping_times", |rig| {
        Box::pin(documents::no_two_of_64_writers_get_overlapping_times(rig))
    }),
    ("of_two_decisions_on_one_range_only_one_is_taken", |rig| {
        Box::pin(documents::of_two_decisions_on_one_range_only_one_is_taken(rig))
    }),
    ("pages_come_in_the_indexs_order", |rig| Box::pin(documents::pages_come_in_the_indexs_order(rig))),
    ("filters_and_partial_indexes_find_their_documents", |rig| {
        Box::pin(documents::filters_and_partial_indexes_find_their_documents(rig))
    }),
    ("a_walk_under_writes_neither_repeats_nor_skips", |rig| {
        Box::pin(documents::a_walk_under_writes_neither_repeats_nor_skips(rig))
    }),
    ("a_timer_comes_in_order_and_fires_once", |rig| Box::pin(bookkeeping::a_timer_comes_in_order_and_fires_once(rig))),
    ("an_earlier_owner_can_not_save", |rig| Box::pin(bookkeeping::an_earlier_owner_can_not_save(rig))),
    ("receipts_are_found_by_what_they_span", |rig| Box::pin(bookkeeping::receipts_are_found_by_what_they_span(rig))),
    ("exceptions_are_found_by_each_of_their_headers", |rig| {
        Box::pin(bookkeeping::exceptions_are_found_by_each_of_their_headers(rig))
    }),
    ("redacted_data_is_gone_and_the_chain_holds", |rig| {
        Box::pin(retention::redacted_data_is_gone_and_the_chain_holds(rig))
    }),
    ("kept_exchanges_go_with_the_data", |rig| Box::pin(retention::kept_exchanges_go_with_the_data(rig))),
    ("a_key_outlives_the_data_it_was_used_for", |rig| Box::pin(log::a_key_outlives_the_data_it_was_used_for(rig))),
    ("a_cut_is_signed_and_can_be_signed_anew", |rig| Box::pin(retention::a_cut_is_signed_and_can_be_signed_anew(rig))),
    ("weights_are_those_of_the_data_that_is_there", |rig| {
        Box::pin(retention::weights_are_those_of_the_data_that_is_there(rig))
    }),
    ("a_new_epoch_is_later_and_stays", |rig| Box::pin(log::a_new_epoch_is_later_and_stays(rig))),
    ("trimming_keeps_the_chain_and_the_order", |rig| Box::pin(retention::trimming_keeps_the_chain_and_the_order(rig))),
];
