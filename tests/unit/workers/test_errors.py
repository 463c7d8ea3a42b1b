from __future__ import annotations

import pytest

from tests.support.services import Refused
from workers import PortableError, TaskFailed
from workers.errors import portable_name, restored


def test_a_portable_error_is_made_anew_with_its_details() -> None:
    error = restored(portable_name(Refused), "no", {"limit": 3})
    assert type(error) is Refused
    assert (str(error), error.details) == ("no", {"limit": 3})


@pytest.mark.parametrize("name", ["os:system", "builtins:SystemExit", "", "nowhere:Nothing"])
def test_a_name_that_is_no_portable_error_gives_task_failed(name: str) -> None:
    error = restored(name, "no", {})
    assert type(error) is TaskFailed
    assert not isinstance(error, PortableError)
