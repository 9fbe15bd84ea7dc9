"""What must be refused, and the tests that prove it: none of them may go unnoticed.

A test is named by its file and its function, with the words of one of its cases in brackets.
"""

import ast
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent

REFUSED: Final = {
    "alias bombs": ("journeys/test_refusals.py::test_it_is_refused[a thousand aliases]",),
    "fragment bombs, counted when written out": (
        "journeys/test_refusals.py::test_it_is_refused[fragments that explode]",
        "schema/test_limits.py::test_doubling_fragments_are_counted_exactly",
        "schema/test_limits.py::test_the_known_bomb_is_refused_at_once",
    ),
    "depth bombs": ("journeys/test_refusals.py::test_it_is_refused[fifty levels deep]",),
    "batches": ("journeys/test_refusals.py::test_it_is_refused[an array of operations]",),
    "all of them before any SQL": (
        "journeys/test_refusals.py::test_nothing_is_read_for_what_is_refused_before_it_runs",
        "schema/test_statements.py::test_what_is_refused_is_not_asked",
    ),
    "introspection by partners": (
        "journeys/test_refusals.py::test_it_is_refused[introspection by a partner]",
        "journeys/test_refusals.py::test_it_is_refused[registered introspection by a partner]",
    ),
    "suggestions of fields to partners": (
        "journeys/test_refusals.py::test_it_is_refused[an unknown field of a partner]",
    ),
    "texts of exceptions, SQL and key ids in an answer": (
        "cdp/test_front_door.py::test_exceptions_of_the_answer",
        "journeys/test_refusals.py::test_it_is_refused",
        "cdp/test_command_line.py::test_an_unexpected_error_is_one_line_without_its_text",
    ),
    "the same in a log line": ("cdp/test_logs.py::test_an_exception_leaves_class_and_place",),
    "planted values in dumps, WAL and logs": (
        "journeys/test_dump.py::test_no_planted_value_is_left_behind_anywhere",
        "journeys/test_dump.py::test_the_server_logged_what_it_was_sent",
        "journeys/test_dump.py::test_no_dump_holds_the_people_of_the_stories",
    ),
    "a number in a URL": (
        "journeys/test_refusals.py::test_it_is_refused[customer data by GET]",
        "cdp/test_front_door.py::test_customer_data_is_never_asked_for_in_a_url",
    ),
    "a cell moved to another row, column, customer, store or tenant": (
        "journeys/test_attacks.py::test_a_cell_of_another_column_row_or_store_does_not_open",
        "journeys/test_attacks.py::test_a_cell_that_was_tampered_with_does_not_open[somebody else's]",
        "privacy/test_seal.py::test_a_moved_cell_is_refused",
        "privacy/test_seal.py::test_a_cell_copied_to_another_customer_is_refused",
    ),
    "any flipped bit": (
        "journeys/test_attacks.py::test_a_cell_that_was_tampered_with_does_not_open[a flipped bit]",
        "privacy/test_seal.py::test_every_flipped_bit_is_refused",
        "privacy/test_seal.py::test_every_truncation_and_extension_is_refused",
    ),
    "a header downgraded": (
        "journeys/test_attacks.py::test_a_cell_that_was_tampered_with_does_not_open[another suite]",
        "journeys/test_attacks.py::test_a_cell_that_was_tampered_with_does_not_open[an earlier generation]",
        "privacy/test_seal.py::test_a_changed_header_is_refused",
    ),
    "a plaintext planted in a sealed column": (
        "journeys/test_attacks.py::test_a_cell_that_was_tampered_with_does_not_open[a plaintext]",
        "privacy/test_seal.py::test_a_plaintext_planted_in_the_column_is_refused",
        "cdp/test_changes.py::test_a_plaintext_never_gets_into_a_sealed_column",
    ),
    "the wrapped key of one customer copied to another": (
        "journeys/test_attacks.py::test_keys_and_cells_of_somebody_else_do_not_open",
        "privacy/test_seal.py::test_a_cell_copied_with_its_wrapped_key_is_refused",
        "privacy/test_keys.py::test_a_wrapped_key_changed_in_any_part_is_refused",
    ),
    "telling by the work who is not to be seen and who is not there": (
        "journeys/test_attacks.py::test_to_a_partner_nobody_and_not_for_you_are_the_same_work",
        "journeys/test_attacks.py::test_it_is_the_same_work_by_another_identifier",
        "journeys/test_story_b.py::test_a_partner_learns_nothing_not_even_that_there_is_a_customer",
        "journeys/test_release.py::test_a_partner_is_refused_alike_whoever_holds_the_number",
        "journeys/test_linking.py::test_a_proposal_never_tells_whether_anybody_holds_the_other_number",
    ),
    "enumeration by the last digits": (
        "journeys/test_attacks.py::test_a_few_digits_find_nobody",
        "journeys/test_attacks.py::test_nobody_is_counted_sorted_or_found_by_parts_of_what_is_sealed",
    ),
    "a filter, an order or a count by what may not be read": (
        "journeys/test_attacks.py::test_a_filter_on_what_may_not_be_read_tells_nothing",
        "journeys/test_attacks.py::test_nobody_is_counted_sorted_or_found_by_parts_of_what_is_sealed",
    ),
    "counts of small groups: nothing counts customers": (
        "journeys/test_attacks.py::test_nobody_is_counted_sorted_or_found_by_parts_of_what_is_sealed",
    ),
    "consent sent again after its withdrawal": (
        "journeys/test_attacks.py::test_an_old_yes_sent_again_does_not_undo_a_withdrawal",
    ),
    "consent from a partner, back-dated or not": (
        "journeys/test_attacks.py::test_a_partner_says_nothing_for_a_customer_today_or_back_then",
    ),
    "consent for somebody else without a role that shows it": (
        "journeys/test_attacks.py::test_nobody_agrees_for_somebody_else_without_the_role_that_shows_it",
        "cdp/consent/test_events.py::test_who_agrees_for_somebody_has_the_role_that_shows_it",
    ),
    "a purpose by header": (
        "journeys/test_refusals.py::test_it_is_refused[a purpose in a header]",
        "journeys/test_refusals.py::test_it_is_refused[a purpose in the extensions]",
        "journeys/test_refusals.py::test_it_is_refused[a purpose in a variable]",
    ),
    "a document of one purpose used by a client of another": (
        "journeys/test_attacks.py::test_a_document_for_one_purpose_serves_no_other_client",
    ),
    "foreign and altered ids": (
        "journeys/test_refusals.py::test_an_id_that_is_altered_or_of_another_legal_entity_leads_nowhere",
        "journeys/test_release.py::test_an_id_that_came_by_a_number_leads_nowhere_once_the_holding_has_ended",
    ),
    "cursors of another client": (
        "journeys/test_refusals.py::test_a_cursor_that_is_altered_or_of_another_client_or_list_is_refused",
    ),
    "nested paths, fragments and orders that reach what is withheld": (
        "journeys/test_attacks.py::test_no_path_leads_to_what_is_withheld",
        "journeys/test_roles.py::test_no_path_leads_from_a_payer_to_what_the_user_did",
    ),
    "page sizes out of bounds": (
        "journeys/test_refusals.py::test_it_is_refused[a page of ten thousand customers]",
        "journeys/test_refusals.py::test_it_is_refused[a page of less than none]",
        "journeys/test_refusals.py::test_it_is_refused[a list of ten thousand]",
    ),
    "a cached plan or registered document after a withdrawal": (
        "journeys/test_attacks.py::test_a_plan_that_was_made_before_a_withdrawal_shows_nothing_after_it",
        "schema/test_statements.py::test_a_withdrawal_is_honoured_by_every_read_that_starts_after_it_among_many",
    ),
    "two states of consent in one answer": (
        "journeys/test_attacks.py::test_a_withdrawal_in_the_middle_is_before_an_answer_or_after_it",
    ),
    "tokens with alg none, HS256 with the public key, a foreign kid": (
        "journeys/test_refusals.py::test_it_is_refused[a token without signature]",
        "journeys/test_attacks.py::test_a_token_that_is_forged_opens_nothing[HS256 with the public key]",
        "journeys/test_attacks.py::test_a_token_that_is_forged_opens_nothing[a foreign kid]",
        "cdp/test_auth.py::test_the_token_does_not_choose_the_algorithm",
    ),
    "tokens without audience, issuer or end": (
        "journeys/test_attacks.py::test_a_token_that_is_forged_opens_nothing[no audience]",
        "journeys/test_attacks.py::test_a_token_that_is_forged_opens_nothing[no issuer]",
        "journeys/test_attacks.py::test_a_token_that_is_forged_opens_nothing[no end]",
        "cdp/test_auth.py::test_wrong_claims_are_refused",
    ),
    "a server that was not told whose tokens it takes": (
        "cdp/test_auth.py::test_no_verifier_without_issuer_and_audience",
        "cdp/test_settings.py::test_a_wrong_setting_is_one_clear_line",
    ),
    "mainland data in a process of Hong Kong": (
        "journeys/test_attacks.py::test_a_process_of_one_jurisdiction_cannot_open_the_other",
        "privacy/test_keys.py::test_a_store_is_unlocked_with_its_own_keys",
    ),
    "onward transfer under the GBA contract": (
        "journeys/test_attacks.py::test_under_the_gba_contract_nothing_is_handed_on",
        "privacy/test_policy.py::test_step_3_no_onward_transfer_under_the_gba_contract",
        "privacy/test_rules.py::test_an_onward_transfer_needs_a_contract_that_allows_it",
    ),
    "a minor's birthday, and a guardian's word after it": (
        "journeys/test_attacks.py::test_a_birthday_changes_who_may_speak",
        "privacy/test_policy.py::test_step_7_a_child_needs_its_guardian_and_an_adult_speaks_alone",
        "privacy/test_policy.py::test_step_7_born_on_29_february_is_of_age_on_1_march",
    ),
    "an erased customer by old id, cursor or index": (
        "journeys/test_requests.py::test_an_erased_customer_is_nobody_to_everybody",
        "cdp/erasure/test_erase.py::test_what_comes_late_brings_nobody_back",
        "cdp/erasure/test_erase.py::test_no_proposal_names_somebody_who_was_erased",
        "journeys/test_requests.py::test_the_other_side_of_a_link_is_told_of_an_erasure",
    ),
    "an erased customer by a restored backup": (
        "journeys/test_requests.py::test_a_backup_brings_nobody_back",
        "cdp/erasure/test_erase.py::test_a_ledger_replayed_over_an_older_backup_keeps_everybody_out",
    ),
    "a write racing an erasure": (
        "cdp/erasure/test_erase.py::test_a_write_that_found_the_customer_before_the_erasure_loses_to_it",
        "cdp/erasure/test_erase.py::test_many_writers_and_an_erasure_leave_no_row_behind",
    ),
    "an answer without room for its entry": (
        "journeys/test_attacks.py::test_without_room_for_its_entry_no_answer_leaves",
        "cdp/test_front_door.py::test_a_refusal_that_cannot_be_audited_is_not_told",
        "cdp/test_audit.py::test_while_the_store_refuses_nothing_is_recorded_and_the_chain_waits",
    ),
    "a gap or fork by a killed sequencer": (
        "cdp/test_sequencer.py::test_a_sequencer_that_is_killed_leaves_no_gap_and_no_fork",
    ),
    "a log with entries deleted, moved or cut off": (
        "cdp/test_audit.py::test_tampering_is_found_where_it_begins",
        "cdp/test_sequencer.py::test_tampering_is_found",
        "cdp/test_sequencer.py::test_a_whole_log_set_back_fits_in_itself_and_not_with_what_was_kept",
        "cdp/erasure/test_gone.py::test_a_row_about_an_erasure_is_not_enough",
    ),
    "a forked log": (
        "cdp/test_audit.py::test_a_forked_chain_is_found",
        "cdp/test_sequencer.py::test_a_log_that_was_forked_does_not_fit_with_what_was_kept",
        "privacy/test_tree.py::test_a_fork_has_no_consistency_proof",
    ),
    "homoglyphs and wide letters": (
        "journeys/test_attacks.py::test_what_only_looks_like_an_identifier_finds_nobody",
        "cdp/identity/test_matching.py::test_a_record_is_compared_in_one_spelling",
    ),
    "names with NUL, or of a megabyte": ("journeys/test_attacks.py::test_a_name_that_is_none_is_not_taken_in",),
    "a subscription after a withdrawal": (
        "journeys/test_subscriptions.py::test_after_a_withdrawal_a_subscription_tells_nothing",
        "journeys/test_subscriptions.py::test_a_withdrawal_withholds_at_once_and_of_everything_ends_it_within_a_second",
    ),
    "the legacy protocol of sockets": ("journeys/test_sockets.py::test_the_legacy_protocol_is_refused",),
    "sockets of other origins": ("journeys/test_sockets.py::test_sockets_of_other_origins_are_refused",),
    "a client that opens a honey customer": (
        "journeys/test_honey.py::test_whoever_is_shown_one_is_stopped",
        "journeys/test_honey.py::test_a_stopped_client_gets_nothing_more_in_any_process_and_others_go_on",
        "journeys/test_honey.py::test_a_partner_who_may_see_one_is_stopped_and_not_told_why",
    ),
}


@cache
def texts_of(file: str) -> tuple[set[str], set[str]]:
    """The tests of a file, and its texts."""
    nodes = list(ast.walk(ast.parse((ROOT / file).read_text())))
    tests = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return tests, {str(node.value) for node in nodes if isinstance(node, ast.Constant)}


@pytest.mark.parametrize("what", REFUSED)
def test_what_must_be_refused_has_its_tests(what: str) -> None:
    assert REFUSED[what]
    for name in REFUSED[what]:
        file, _, test = name.partition("::")
        test, _, case = test.removesuffix("]").partition("[")
        tests, texts = texts_of(file)
        assert test.startswith("test_")
        assert test in tests, name
        assert not case or case in texts, name
