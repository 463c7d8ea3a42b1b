"""Every setting there is, as data: the loader, the command line, `doctor` and the README's table read this one list.

A setting stands in the TOML file as `[section] name = value`; its environment name and its flag are given here.
The defaults are those of the layers' own settings classes, so that there is one place for each.
"""

from __future__ import annotations

from dataclasses import dataclass

from chat import AccountSettings, ChatSettings
from dataserver.key_places import KeyPlaces
from dataserver.limits import HttpLimits
from dataserver.server_settings import LogSettings, ServerSettings
from dataserver.setting_values import Folder, Kind, OneOf, Seconds, Shares, Switch, Text, Whole
from dataserver.socket.limits import SocketLimits
from storage import StorageSettings

SECTIONS: dict[str, object] = {
    "server": ServerSettings(),
    "storage": StorageSettings(),
    "http": HttpLimits(),
    "accounts": AccountSettings(),
    "chat": ChatSettings(),
    "sockets": SocketLimits(),
    "logs": LogSettings(),
}
"""The sections of the TOML file, and the defaults of their settings."""

_MIB = 1 << 20
_DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing that may be set, and the names under which it is."""

    section: str
    name: str
    environment: str
    flag: str | None
    kind: Kind
    default: object
    help: str

    @property
    def key(self) -> str:
        """The name in the TOML file, with its section."""
        return f"{self.section}.{self.name}"


def _setting(key: str, environment: str, kind: Kind, help_text: str, *, flag: str | None = None) -> Setting:
    section, name = key.split(".")
    return Setting(
        section=section,
        name=name,
        environment=environment,
        flag=flag,
        kind=kind,
        default=getattr(SECTIONS[section], name),
        help=help_text,
    )


SETTINGS: tuple[Setting, ...] = (
    _setting(
        "server.host",
        "DATASERVER_HOST",
        Text("a host name or an IP address"),
        "where to listen",
        flag="--host",
    ),
    _setting(
        "server.port",
        "DATASERVER_PORT",
        Whole(0, 65_535),
        "the port to listen on; 0 takes a free one and logs it",
        flag="--port",
    ),
    _setting(
        "server.data_dir",
        "DATASERVER_DATA_DIR",
        Folder(),
        "the folder that holds the databases, the tokens, the lock and the socket",
        flag="--data-dir",
    ),
    _setting(
        "server.server",
        "DATASERVER_SERVER",
        OneOf(("uvicorn", "h2corn")),
        "which ASGI server speaks HTTP",
        flag="--server",
    ),
    _setting(
        "server.drain_s",
        "DATASERVER_DRAIN_S",
        Seconds(3_600.0),
        "how long a stop waits for requests that run",
    ),
    _setting(
        "storage.use_workers",
        "USE_SQLITE_WORKERS",
        Switch(),
        "0 runs SQLite on the event loop: same answers, but a scan stops everything",
        flag="--workers off",
    ),
    _setting(
        "storage.kind",
        "SQLITE_WORKER_KIND",
        OneOf(("process", "thread")),
        "what a worker is",
        flag="--workers",
    ),
    _setting(
        "storage.worker_count",
        "SQLITE_WORKER_COUNT",
        Whole(1, 64),
        "how many readers; the default is the number of cores, at least 2",
    ),
    _setting(
        "storage.writer_count",
        "DATASERVER_WRITER_COUNT",
        Whole(1, 16),
        "how many writers; a database is written by one of them at a time",
    ),
    _setting(
        "storage.max_queue_size",
        "SQLITE_MAX_QUEUE_SIZE",
        Whole(1, 1_000_000),
        "how many calls may wait for readers, and as many for writers; the next is answered 503 with Retry-After",
    ),
    _setting(
        "storage.max_queued_writes",
        "DATASERVER_MAX_QUEUED_WRITES",
        Whole(1, 1_000_000),
        "how many writes with `ack=queued`, for which nobody waits, may wait",
    ),
    _setting(
        "storage.max_queued_bytes",
        "DATASERVER_MAX_QUEUED_BYTES",
        Whole(1_024, 1_024 * _MIB),
        "once such writes hold as much, no more are taken",
    ),
    _setting(
        "storage.maintenance_count",
        "DATASERVER_MAINTENANCE_COUNT",
        Whole(1, 16),
        "how many workers exports and the building of indexes have for themselves, and how many backups run at once",
    ),
    _setting(
        "storage.weights",
        "DATASERVER_WEIGHTS",
        Shares(),
        "how large a share of the readers a database has while others wait, by name: `shop=4,logs=0.5`; 1 for the rest",
    ),
    _setting(
        "storage.query_timeout_s",
        "DATASERVER_QUERY_TIMEOUT_S",
        Seconds(_DAY_S),
        "the deadline of a read that names none; waiting counts",
    ),
    _setting(
        "storage.write_timeout_s",
        "DATASERVER_WRITE_TIMEOUT_S",
        Seconds(_DAY_S),
        "the deadline of a write that names none; one that has begun is not taken back",
    ),
    _setting(
        "storage.slow_query_s",
        "DATASERVER_SLOW_QUERY_S",
        Seconds(_DAY_S),
        "what takes as long in a worker is logged with its plan (`storage.query_slow`), without values of parameters",
    ),
    _setting(
        "storage.tracing",
        "DATASERVER_TRACING",
        Switch(),
        "1 makes OpenTelemetry's spans of reads and writes (extra `otel`; `opentelemetry-instrument` says where they go)",
    ),
    _setting(
        "storage.busy_timeout_s",
        "DATASERVER_BUSY_TIMEOUT_S",
        Seconds(3_600.0),
        "how long to wait for a lock that another process holds",
    ),
    _setting(
        "storage.max_result_bytes",
        "DATASERVER_MAX_RESULT_BYTES",
        Whole(1_024, 1_000 * _MIB),
        "the largest answer in one piece, and the largest value; exports may be of any size",
    ),
    _setting(
        "storage.max_open_connections",
        "DATASERVER_MAX_OPEN_CONNECTIONS",
        Whole(1, 10_000),
        "how many databases a worker holds open",
    ),
    _setting(
        "storage.cache_bytes",
        "DATASERVER_CACHE_BYTES",
        Whole(0, 1_024 * _MIB),
        "page cache of each open database in each worker",
    ),
    _setting(
        "storage.max_query_steps",
        "DATASERVER_MAX_QUERY_STEPS",
        Whole(1_000_000, 10**15),
        "how many steps of SQLite's machine one read may take; 50 to 200 million are a second",
    ),
    _setting(
        "storage.max_query_rows",
        "DATASERVER_MAX_QUERY_ROWS",
        Whole(1, 1_000_000_000),
        "how many rows a read may return as Python values; answers in JSON are bounded by their bytes",
    ),
    _setting(
        "storage.worker_heap_bytes",
        "DATASERVER_WORKER_HEAP_BYTES",
        Whole(64 * _MIB, 1_048_576 * _MIB),
        "what SQLite may allocate in one worker process",
    ),
    _setting(
        "storage.reader_age_s",
        "DATASERVER_READER_AGE_S",
        Seconds(_DAY_S),
        "how long any read may hold one state, exports too: it holds back the write-ahead log",
    ),
    _setting(
        "storage.max_wal_bytes",
        "DATASERVER_MAX_WAL_BYTES",
        Whole(_MIB, 1_048_576 * _MIB),
        "the bound of a write-ahead log: reads that hold it back are ended",
    ),
    _setting(
        "storage.keys",
        "DATASERVER_KEYS",
        KeyPlaces(),
        "which databases are encrypted, and where each has its key of 32 bytes: `shop=file:PATH`, `chat.db=env:NAME`,"
        " `*=keyring:SERVICE/USER` for those without one of their own",
    ),
    _setting(
        "storage.json_big_integers",
        "DATASERVER_JSON_BIG_INTEGERS",
        OneOf(("number", "string")),
        "how integers beyond 2^53 are written: exact digits, or as a string for JavaScript",
    ),
    _setting(
        "http.max_body_bytes",
        "DATASERVER_MAX_BODY_BYTES",
        Whole(1_024, 1_000 * _MIB),
        "the largest request body; more is answered 413",
    ),
    _setting(
        "http.max_import_bytes",
        "DATASERVER_MAX_IMPORT_BYTES",
        Whole(1_024, 1_048_576 * _MIB),
        "the largest import; one that is stored whole or not at all is laid aside on the disk before",
    ),
    _setting(
        "http.max_imports_count",
        "DATASERVER_MAX_IMPORTS_COUNT",
        Whole(1, 1_000),
        "how many imports may run at one time; the next is answered 503 with Retry-After",
    ),
    _setting(
        "http.body_timeout_s",
        "DATASERVER_BODY_TIMEOUT_S",
        Seconds(3_600.0),
        "how long a request body, or the next piece of an import, may take to arrive",
    ),
    _setting(
        "http.max_timeout_s",
        "DATASERVER_MAX_TIMEOUT_S",
        Seconds(_DAY_S),
        "the latest deadline that a request may name",
    ),
    _setting(
        "http.default_page_count",
        "DATASERVER_DEFAULT_PAGE_COUNT",
        Whole(1, 1_000_000),
        "rows of a page that names no limit",
    ),
    _setting(
        "http.max_page_count", "DATASERVER_MAX_PAGE_COUNT", Whole(1, 1_000_000), "the most rows of a page"
    ),
    _setting(
        "http.max_page_bytes", "DATASERVER_MAX_PAGE_BYTES", Whole(1_024, 1_000 * _MIB), "the largest page"
    ),
    _setting(
        "http.max_statement_count",
        "DATASERVER_MAX_STATEMENT_COUNT",
        Whole(1, 1_000_000),
        "statements of one execute request",
    ),
    _setting(
        "accounts.is_registration_open",
        "DATASERVER_REGISTRATION",
        Switch(),
        "0 lets nobody make an account by themselves; `dataserver user create` still does",
    ),
    _setting(
        "accounts.access_token_s",
        "DATASERVER_ACCESS_TOKEN_S",
        Seconds(30 * _DAY_S),
        "how long an access token of the chat is good; its device refreshes it",
    ),
    _setting(
        "accounts.refresh_token_s",
        "DATASERVER_REFRESH_TOKEN_S",
        Seconds(10 * 365 * _DAY_S),
        "after how long without a refresh a device has to log in again",
    ),
    _setting(
        "accounts.login_attempts_per_minute",
        "DATASERVER_LOGIN_ATTEMPTS",
        Whole(1, 100_000),
        "wrong passwords a minute for each name; an address may try ten times as many; more is answered 429",
    ),
    _setting(
        "accounts.sends_per_s",
        "DATASERVER_SENDS_PER_S",
        Whole(1, 1_000_000),
        "messages a second of each user, in the long run; more is answered 429",
    ),
    _setting(
        "accounts.send_burst_count",
        "DATASERVER_SEND_BURST",
        Whole(1, 10_000_000),
        "messages that a user may send at once",
    ),
    _setting(
        "accounts.changes_per_s",
        "DATASERVER_CHANGES_PER_S",
        Whole(1, 1_000_000),
        "what each user changes beside messages a second, in the long run: edits, reactions, rooms; more is answered 429",
    ),
    _setting(
        "accounts.change_burst_count",
        "DATASERVER_CHANGE_BURST",
        Whole(1, 10_000_000),
        "as much of that as a user may do at once",
    ),
    _setting(
        "accounts.creations_per_minute",
        "DATASERVER_CREATIONS_PER_MINUTE",
        Whole(1, 10_000_000),
        "spaces, rooms, groups, links, conversations, pictures and keys of each user a minute; more is answered 429",
    ),
    _setting(
        "accounts.searches_per_minute",
        "DATASERVER_SEARCHES_PER_MINUTE",
        Whole(1, 10_000_000),
        "searches of each user a minute; more is answered 429",
    ),
    _setting(
        "accounts.refreshes_per_minute",
        "DATASERVER_REFRESHES_PER_MINUTE",
        Whole(1, 10_000_000),
        "how often a minute a device may refresh its tokens; more is answered 429",
    ),
    _setting(
        "chat.use_queue",
        "USE_CHAT_QUEUE",
        Switch(),
        "0 lets a program that sends chat messages send them directly, one try each, without the queue",
    ),
    _setting(
        "chat.store",
        "DATASERVER_CHAT_STORE",
        OneOf(("durable", "memory")),
        "where such a program's messages wait: in a file, or in memory, with which they are lost",
    ),
    _setting(
        "sockets.max_connections",
        "DATASERVER_MAX_SOCKETS",
        Whole(1, 1_000_000),
        "how many WebSockets and event streams of the chat may be open; the next is answered 503",
    ),
    _setting(
        "sockets.max_connections_per_user",
        "DATASERVER_MAX_SOCKETS_PER_USER",
        Whole(1, 1_000_000),
        "of them, how many one user may have",
    ),
    _setting(
        "sockets.max_frame_bytes",
        "DATASERVER_MAX_FRAME_BYTES",
        Whole(1_024, 1_024 * _MIB),
        "the largest command over a WebSocket",
    ),
    _setting(
        "sockets.max_waiting_bytes",
        "DATASERVER_MAX_WAITING_BYTES",
        Whole(16_384, 1_024 * _MIB),
        "what may wait to be read by one client; one that falls further behind is closed, and resumes",
    ),
    _setting(
        "sockets.max_in_flight",
        "DATASERVER_MAX_IN_FLIGHT",
        Whole(1, 100_000),
        "commands of one connection that are worked on; the server reads no further meanwhile",
    ),
    _setting(
        "sockets.max_streams",
        "DATASERVER_MAX_STREAMS",
        Whole(1, 100_000),
        "rooms and spaces that one connection may follow",
    ),
    _setting(
        "sockets.max_catch_up_count",
        "DATASERVER_MAX_CATCH_UP_COUNT",
        Whole(1, 1_000_000),
        "missed events that a subscription makes up for; who missed more reads the pages anew",
    ),
    _setting(
        "sockets.hello_timeout_s",
        "DATASERVER_HELLO_TIMEOUT_S",
        Seconds(3_600.0),
        "how long a WebSocket may take to say who it is",
    ),
    _setting(
        "sockets.ping_interval_s",
        "DATASERVER_PING_INTERVAL_S",
        Seconds(3_600.0),
        "how often a client is asked whether it is there; it has as long to answer",
    ),
    _setting(
        "sockets.resume_spread_s",
        "DATASERVER_RESUME_SPREAD_S",
        Seconds(3_600.0),
        "over how long clients are told to spread their return when the server stops",
    ),
    _setting(
        "logs.level",
        "DATASERVER_LOG_LEVEL",
        OneOf(("debug", "info", "warning", "error")),
        "the least important event that is written",
    ),
    _setting(
        "logs.format",
        "DATASERVER_LOG_FORMAT",
        OneOf(("auto", "json", "text")),
        "how events look on stderr; auto is text on a terminal and JSON elsewhere",
    ),
)
