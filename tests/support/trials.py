"""Services for the self-test that do not do what they must."""

from __future__ import annotations

import threading

from typing_extensions import override

from workers import Task, method
from workers.services.trial import TrialFailed, TrialService

DEAF = threading.Event()


class ForgedTrials(TrialService):
    @override
    @method()
    def aes_gcm(self, params: None, task: Task) -> str:
        raise TrialFailed("AES-256-GCM takes a forged ciphertext")


class BrokenTrials(TrialService):
    @override
    @method()
    def aes_gcm(self, params: None, task: Task) -> str:
        raise KeyError("a secret that no caller may see")


class WrongTrials(TrialService):
    @override
    @method()
    def aes_gcm(self, params: None, task: Task) -> str:
        return 5  # type: ignore[return-value]  # that is the point


class DeafTrials(TrialService):
    @override
    @method()
    def hash(self, params: None, task: Task) -> str:
        DEAF.wait(20.0)
        return "late"
