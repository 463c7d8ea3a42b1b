"""Workers killed at random under load: nothing lost, nothing twice, no hang, nothing left over; peers beside it.

`python -m tests.crash.kills` prints the table. On 2026-11-23, on two cores that others loaded as well (some twelve
processes for each core), four workers and 32 callers, a kill each 60 ms, at most 55 s (peers: 40 s):

    pool                       kills  answered  told lost  doubled  hung        rebuilt  files       threads     MB
    ours, processes              500     2,537         71        0     0              0  28 -> 26     6 -> 5     37 -> 38
    ours, threads                709   186,212          0        0     0              0   6 -> 6      6 -> 6     40 -> 52
    concurrent.futures, fork     400       744      2,432        0    32             76  19 -> 20     5 -> 5     36 -> 36
    concurrent.futures, spawn    400         -          -        -     the whole process
    loky                         395       141      8,419        0     0            264  88 -> 539   40 -> 265   45 -> 102

"Told lost" are the calls whose callers were told that their worker died; with ours that is the one call that ran, and
only if it must not be repeated. A thread can't be killed: there a service leaves its thread, or never looks up.
"""
