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

That run of 2026-11-23 took 820 s on two busy cores, with 1,082 kills (72 to 113 at each step of the queue), 154 freezes
and 92 stops; the server had 119,470 calls, refused 5,570 duplicates and was asked 19,289 times about an action whose
outcome was not known. Nothing went wrong. On the same day each of these changes to the queue was found within 1,500
actions: acknowledging before the commit, calling again without asking, a stop that forgets a call, overtaking after a
failure, the newest first, a lost answer as done, a 500 as final, dependencies not waited for, lost logins, miscounting,
claims of the dead that never lapse. Claims that others may take at once are found by `--calm`, where each action is
called once. A queue without fences was found in two runs, by one guarded action and by
four, and in two later ones not: client ids and leases nearly carry it. What a fence is for is held by the queue's own
tests.
"""

from __future__ import annotations
