from __future__ import annotations

import pytest

from loadtests.outcomes import outcome_of


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_needs_no_words(status: int) -> None:
    assert outcome_of(status=status, error_code="", retry_after=None) == ("ok", "")


def test_a_503_that_says_when_to_come_again_is_a_refusal() -> None:
    assert outcome_of(status=503, error_code="queue_full", retry_after="1") == ("refused", "queue_full")


def test_a_503_that_does_not_say_when_to_come_again_is_a_failure() -> None:
    assert outcome_of(status=503, error_code="worker_died", retry_after=None) == ("failed", "503 worker_died")


@pytest.mark.parametrize(("status", "code"), [(500, "internal"), (404, "row_not_found"), (504, "deadline")])
def test_any_other_status_is_a_failure_by_its_name(status: int, code: str) -> None:
    assert outcome_of(status=status, error_code=code, retry_after=None) == ("failed", f"{status} {code}")


def test_no_answer_at_all_is_a_failure() -> None:
    assert outcome_of(status=0, error_code="", retry_after=None) == ("failed", "no answer")
