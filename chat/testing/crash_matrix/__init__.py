"""The crash matrix: a queue among killed, frozen and stopped processes and before a bad server, and an exact audit.

Some processes share one queue file. Each enqueues and delivers; one more, the follower, only enqueues and logs accounts
in again. All the time they are killed (at each step of the queue, and at any moment), frozen for longer than their lease
and woken, stopped, and started again. The server is a process of its own, which is killed as well. It loses requests and
answers, delays, doubles and reorders them, and answers in bursts with 500, 429 and 401; one thing it does right: it does
each client id once. It writes down every call.

What is to be enqueued follows from the seed alone, so the audit knows it without asking anybody. It reads what the
processes were told (`ledger`), what the server saw (`server_log`) and what is in the file, and counts what was lost,
doubled, reordered or told wrongly. Each number but those of the first part of the report has to be 0.

    plan -> ledger, server_log, wire -> line, mischief -> sender, bad_server, fates -> supervisor -> evidence -> audit

    python -m chat.testing.crash_matrix --actions 100000 --processes 4 --seed 1
"""

from __future__ import annotations
