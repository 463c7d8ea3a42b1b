"""Workers killed at random under load: nothing lost, nothing twice, no hang, nothing left over; peers beside it.

`python -m tests.crash.kills` prints the table. On 2026-11-23, on two cores with nothing else to do, four workers and 32
callers, a kill each 50 ms, at most 60 s for the peers:

    pool                       kills  answered  told lost  doubled  hung  rebuilt  files         memfds  threads    MB             s
    ours, processes            1,000   130,199        689        0     0        0  29 -> 26      8 -> 5  6 -> 4     38.5 -> 38.9   53.9
    ours, threads              1,000   415,425          0        0     0        0  6 -> 6        -       6 -> 6     37.7 -> 38.1   69.2
    concurrent.futures, spawn  1,000       158     32,000        0     0    1,000  11 -> 13      -       4 -> 3     36.1 -> 35.5   53.2
    concurrent.futures, fork     426     1,462        960        0    32       30  20 -> 20      -       4 -> 4     36.2 -> 36.2   21.6
    loky                       1,000       111     23,232        0     0      726  154 -> 1,471  -       73 -> 729  60.5 -> 281.9  54.0

With fork all 32 callers hung after 426 kills, which ended it. Loky gives back neither the files nor the threads of the
executors that broke.

"Told lost" are the calls whose callers were told that their worker died; with ours that is the one call that ran, and
only if it must not be repeated. A thread can't be killed: there a service leaves its thread, or never looks up.
"""
