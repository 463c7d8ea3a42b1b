"""Statements that nobody should send, as data: what each tries, and how it has to end.

`answered` ones are large but within all limits. `stopped` ones would run for ever or nearly so, and end at a deadline
or a budget of steps. `HOGS` are refused when the heap of their process is used up. Those under `LONG_STEPS` spend their time inside a single step of SQLite's machine, where neither
an interrupt nor the progress handler reaches them: only the end of their process does.
"""
# ruff: noqa: S608 - texts of SQL are what this is about

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

End = Literal["answered", "stopped", "too large", "too much", "not SQL", "not allowed", "writes"]
"""`too much` is too large or stopped, whichever comes first."""

_FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
_MANY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000)"


@dataclass(frozen=True, slots=True)
class Hostile:
    """One statement and how it ends."""

    name: str
    sql: str
    end: End


STATEMENTS = (
    # -- work without end ---------------------------------------------------------------------------------------------
    Hostile("recursion without an end", f"{_FOREVER} SELECT count(*) FROM n", "stopped"),
    Hostile("recursion that never gives a row", f"{_FOREVER} SELECT i FROM n WHERE i < 0", "stopped"),
    Hostile(
        "recursion that doubles",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT b.i FROM n, (SELECT 1 AS i UNION ALL SELECT 2) b) SELECT sum(i) FROM n",
        "stopped",
    ),
    Hostile("recursion under EXISTS", f"SELECT EXISTS({_FOREVER} SELECT 1 FROM n WHERE i = 0)", "stopped"),
    Hostile("a product of tables", f"{_MANY} SELECT count(*) FROM n a, n b, n c, n d WHERE a.i + b.i = c.i * d.i", "stopped"),
    Hostile("a join on nothing", f"{_MANY} SELECT count(*) FROM n a JOIN n b ON a.i <> b.i JOIN n c ON b.i <> c.i", "stopped"),
    Hostile("sorting a product", f"{_MANY} SELECT a.i FROM n a, n b, n c ORDER BY random() LIMIT 1", "stopped"),
    Hostile("DISTINCT over a product", f"{_MANY} SELECT DISTINCT a.i * b.i * c.i FROM n a, n b, n c", "stopped"),
    Hostile("a query for each row", f"{_MANY} SELECT (SELECT count(*) FROM n b, n c WHERE b.i < a.i) FROM n a", "stopped"),
    Hostile("windows over a product", f"{_MANY} SELECT sum(a.i) OVER (ORDER BY b.i ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM n a, n b", "stopped"),
    Hostile("a window for each row", f"{_FOREVER} SELECT group_concat(i) OVER (ORDER BY i ROWS 10000 PRECEDING) FROM (SELECT i FROM n LIMIT 100000000)", "stopped"),
    Hostile("random numbers until one fits", f"{_FOREVER} SELECT 1 FROM n WHERE random() = 0.5 LIMIT 1", "stopped"),
    Hostile("many small globs", f"{_MANY} SELECT count(*) FROM n a, n b WHERE (a.i || b.i || hex(zeroblob(200))) GLOB '*0*0*0*0*0*0*1'", "stopped"),
    Hostile("a recursion over JSON", f"{_FOREVER} SELECT count(*) FROM n, json_each('[1,2,3,4,5,6,7,8,9]')", "stopped"),
    Hostile("a JSON tree of products", "SELECT count(*) FROM json_tree(json_array(zeroblob(0) IS NULL)) a, (" + f"{_FOREVER} SELECT i FROM n" + ") b", "stopped"),
    # -- values and answers without end -------------------------------------------------------------------------------
    Hostile("a huge random blob", "SELECT randomblob(1000000000)", "too large"),
    Hostile("a huge blob of zeros", "SELECT zeroblob(1000000000)", "too large"),
    Hostile("the length of a huge blob", "SELECT length(zeroblob(2147483647))", "too large"),
    Hostile("a wide printf", "SELECT printf('%2000000000d', 1)", "too large"),
    Hostile("a printf as wide as asked", "SELECT printf('%.*c', 2000000000, 'x')", "too large"),
    Hostile("a format of many widths", "SELECT format('" + "%90000000s" * 20 + "', 1)", "too large"),
    Hostile("replace that grows", "SELECT replace(replace(replace(hex(zeroblob(4000)),'0',hex(zeroblob(400))),'0',hex(zeroblob(400))),'0','00')", "too large"),
    Hostile("hex of hex", "SELECT " + "hex(" * 12 + "zeroblob(100000)" + ")" * 12, "too large"),
    Hostile("doubling by ||", "WITH RECURSIVE d(t) AS (SELECT 'x' UNION ALL SELECT t || t FROM d) SELECT length(t) FROM d", "too large"),
    Hostile("group_concat without an end", f"{_FOREVER} SELECT group_concat(hex(zeroblob(1000))) FROM n", "too much"),
    Hostile("string_agg over a window", f"{_FOREVER} SELECT string_agg(hex(zeroblob(50000)), ',') OVER (ORDER BY i) FROM (SELECT i FROM n LIMIT 3000)", "too much"),
    Hostile("json_group_array without an end", f"{_FOREVER} SELECT json_group_array(hex(zeroblob(1000))) FROM n", "too much"),
    Hostile("json_group_object without an end", f"{_FOREVER} SELECT json_group_object('k' || i, hex(zeroblob(1000))) FROM n", "too much"),
    Hostile("rows without an end", f"{_FOREVER} SELECT i, hex(zeroblob(2000)) FROM n", "too much"),
    Hostile("wide rows without an end", f"{_FOREVER} SELECT " + ", ".join(f"i AS c{n}" for n in range(400)) + " FROM n", "too much"),
    Hostile("concat of large parts", "SELECT concat(" + ", ".join(["hex(zeroblob(9000000))"] * 9) + ")", "too large"),
    Hostile("quote of a large blob", "SELECT quote(zeroblob(60000000))", "too large"),
    # -- texts that are too much for the parser -----------------------------------------------------------------------
    Hostile("a deep expression", "SELECT " + "abs(" * 2_000 + "1" + ")" * 2_000, "not SQL"),
    Hostile("a long sum", "SELECT 1" + "+1" * 5_000, "not SQL"),
    Hostile("a deep NOT", "SELECT " + "NOT " * 5_000 + "1", "not SQL"),
    Hostile("deep CASEs", "SELECT " + "CASE WHEN 1 THEN " * 1_000 + "1" + " END" * 1_000, "not SQL"),
    Hostile("many brackets", "SELECT " + "(" * 2_000 + "1" + ")" * 2_000, "answered"),
    Hostile("deep subqueries", "SELECT * FROM " + "(SELECT * FROM " * 400 + "(SELECT 1)" + ")" * 400, "answered"),
    Hostile("many unions", "SELECT 1" + " UNION ALL SELECT 1" * 1_000, "not SQL"),
    Hostile("many columns", "SELECT " + ",".join(["1"] * 5_000), "not SQL"),
    Hostile("a join of too many tables", "SELECT 1 FROM " + ", ".join(f"t AS t{n}" for n in range(70)), "not SQL"),
    Hostile("many arguments", "SELECT max(" + ",".join(["1"] * 1_500) + ")", "not SQL"),
    Hostile("a parameter out of bounds", "SELECT ?99999", "not SQL"),
    Hostile("a text that is too long", "SELECT '" + "x" * 1_000_000 + "'", "not SQL"),
    Hostile("a long number", "SELECT " + "9" * 400_000, "answered"),
    Hostile("a long IN", "SELECT 1 IN (" + ",".join(map(str, range(20_000))) + ")", "answered"),
    Hostile("CTEs that double", "WITH " + ", ".join(["a0 AS (SELECT 1 AS x)"] + [f"a{n} AS (SELECT a.x FROM a{n - 1} a, a{n - 1} b)" for n in range(1, 20)]) + " SELECT * FROM a19", "not SQL"),
    Hostile("a long LIKE", "SELECT 'x' LIKE '" + "%_" * 2_000 + "'", "not SQL"),
    Hostile("a long GLOB", "SELECT 'x' GLOB '" + "*?" * 2_000 + "'", "not SQL"),
    Hostile("no REGEXP", "SELECT 'aaaaaaaaaaaaaaaaaaaaaaaa' REGEXP '(a+)+$'", "not SQL"),
    Hostile("a deep JSON text", "SELECT json(replace(hex(zeroblob(50000)), '0', '['))", "not SQL"),
    # -- out of the wrapping ------------------------------------------------------------------------------------------
    Hostile("a bracket too many", "SELECT 1) SELECT (2", "not SQL"),
    Hostile("a CTE behind the bracket", "SELECT 1), z AS (SELECT 2", "not SQL"),
    Hostile("a comment over the end", "SELECT 1 /*", "not SQL"),
    Hostile("a line comment over the end", "SELECT 1 --", "answered"),
    Hostile("a comment that hides the wrapping", "SELECT 1) SELECT 2 --", "not SQL"),
    Hostile("a text that is not ended", "SELECT 'x", "not SQL"),
    Hostile("a name that is not ended", 'SELECT "x', "not SQL"),
    Hostile("a bracketed name that is not ended", "SELECT [x", "not SQL"),
    Hostile("two statements", "SELECT 1; DELETE FROM t", "not SQL"),
    Hostile("two statements and a comment", "SELECT 1; /* */ SELECT 2", "not SQL"),
    Hostile("a NUL", "SELECT 1\0; DELETE FROM t", "not SQL"),
    Hostile("a name of the wrapping", "SELECT * FROM q", "not SQL"),
    Hostile("a recursion with the wrapping's name", "WITH RECURSIVE q(c0) AS (SELECT 1 UNION ALL SELECT c0 + 1 FROM q WHERE c0 < 3) SELECT * FROM q", "answered"),
    Hostile("recursion inside of recursion", f"WITH RECURSIVE a(x) AS ({_MANY} SELECT max(i) FROM n), b(y) AS (SELECT 1 UNION ALL SELECT y + x FROM a, b WHERE y < 9000) SELECT * FROM b", "answered"),
    Hostile("an alias that tries", """SELECT 1 AS "x', 1); DELETE FROM t; --" """, "answered"),
    # -- beyond reading -----------------------------------------------------------------------------------------------
    Hostile("ATTACH", "ATTACH '/tmp/x.db' AS x", "not allowed"),
    Hostile("ATTACH of memory", "ATTACH ':memory:' AS x", "not allowed"),
    Hostile("DETACH", "DETACH main", "not allowed"),
    Hostile("VACUUM INTO", "VACUUM INTO '/tmp/x.db'", "writes"),
    Hostile("VACUUM", "VACUUM", "writes"),
    Hostile("load_extension", "SELECT load_extension('/tmp/x.so')", "not allowed"),
    Hostile("load_extension with an entry", "SELECT load_extension('/tmp/x.so', 'f')", "not allowed"),
    Hostile("a tokenizer by its address", "SELECT fts3_tokenizer('simple', x'4141414141414141')", "not allowed"),
    Hostile("into the library's log", "SELECT sqlite_log(1, 'x')", "not allowed"),
    Hostile("reading files", "SELECT readfile('/etc/passwd')", "not SQL"),
    Hostile("writing files", "SELECT writefile('/tmp/x', 'y')", "not SQL"),
    Hostile("an editor", "SELECT edit('x', 'sh')", "not SQL"),
    Hostile("writable_schema", "PRAGMA writable_schema = 1", "not allowed"),
    Hostile("writing the schema", "UPDATE sqlite_schema SET sql = 'x'", "not SQL"),
    Hostile("no more query_only", "PRAGMA query_only = 0", "not allowed"),
    Hostile("a trusted schema", "PRAGMA trusted_schema = 1", "not allowed"),
    Hostile("a heap without a limit", "PRAGMA hard_heap_limit = 0", "not allowed"),
    Hostile("a folder for temporary files", "PRAGMA temp_store_directory = '/tmp'", "not allowed"),
    Hostile("another journal", "PRAGMA journal_mode = OFF", "not allowed"),
    Hostile("a larger cache", "PRAGMA cache_size = 1000000000", "not allowed"),
    Hostile("mapped memory", "PRAGMA mmap_size = 1000000000", "not allowed"),
    Hostile("threads for sorting", "PRAGMA threads = 64", "not allowed"),
    Hostile("no more foreign keys", "PRAGMA foreign_keys = 0", "not allowed"),
    Hostile("an exclusive lock", "PRAGMA locking_mode = EXCLUSIVE", "not allowed"),
    Hostile("a checkpoint", "PRAGMA wal_checkpoint(TRUNCATE)", "not allowed"),
    Hostile("where the file lies", "PRAGMA database_list", "not allowed"),
    Hostile("where the file lies, by a function", "SELECT file FROM pragma_database_list", "not allowed"),
    Hostile("the module of a pragma that changes", "SELECT * FROM pragma_journal_mode('delete')", "not SQL"),
    Hostile("BEGIN", "BEGIN EXCLUSIVE", "not allowed"),
    Hostile("COMMIT", "COMMIT", "not allowed"),
    Hostile("SAVEPOINT", "SAVEPOINT x", "not allowed"),
    Hostile("INSERT", "INSERT INTO t VALUES (1)", "writes"),
    Hostile("DELETE behind a CTE", "WITH x AS (SELECT 1) DELETE FROM t", "writes"),
    Hostile("a temporary table", "CREATE TEMP TABLE x (a)", "writes"),
    Hostile("a temporary view", "CREATE TEMP VIEW x AS SELECT 1", "writes"),
    Hostile("a virtual table", "CREATE VIRTUAL TABLE temp.x USING fts5 (a)", "writes"),
    Hostile("DROP", "DROP TABLE t", "writes"),
    Hostile("ANALYZE", "ANALYZE", "writes"),
)  # fmt: skip

HOGS = (
    Hostile("sorting large rows", f"{_FOREVER} SELECT hex(zeroblob(100000)) FROM n ORDER BY i DESC", "too large"),
    Hostile("a set of large texts", f"{_FOREVER} SELECT count(DISTINCT hex(zeroblob(50000)) || i) FROM n", "too large"),
    Hostile("a set that recursion keeps", "WITH RECURSIVE n(i) AS (SELECT hex(zeroblob(50000)) || 1 UNION SELECT substr(i, 1, 100000) || (substr(i, 100001) + 1) FROM n) SELECT count(*) FROM n", "too large"),
)  # fmt: skip
"""What SQLite keeps in memory until there is no more."""

LONG_STEPS = (
    Hostile("a search for what repeats", "SELECT instr(zeroblob(40000000), CAST(zeroblob(20000000) || 'x' AS BLOB))", "stopped"),
    Hostile("replacing what is almost there", "SELECT length(replace(hex(zeroblob(25000000)), hex(zeroblob(10000000)) || 1, ''))", "stopped"),
    Hostile("a glob over a long text", "SELECT hex(zeroblob(30000000)) GLOB '" + "*0" * 490 + "1'", "stopped"),
)  # fmt: skip
