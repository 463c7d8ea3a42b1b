"""A chat log sent by clients of its own users through bad networks to a server that is killed: the rooms are the log.

`python -m tests.crash.chat_log [--lines N] [--clients N] [--kills N] [--seed N]` prints what was done and what is wrong.
"""

from __future__ import annotations
