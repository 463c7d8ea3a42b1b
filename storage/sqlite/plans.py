"""How a caller's text is run: looked at once, turned into SQL, kept until the schema changes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import apsw
import msgspec

from storage.sqlite.inspection import NO_VALUES, inspected
from storage.sqlite.json_results import (
    JsonRules,
    Shape,
    can_wrap,
    csv_lines,
    row_by_row,
    text_as_bytes,
    unique_names,
    whole_answer,
)

if TYPE_CHECKING:
    from storage.sqlite.inspection import Statement
    from storage.sqlite.schema import Schema
    from storage.sqlite.untrusted import ReadAuthorizer

Form = Literal["rows", "bytes", "objects", "arrays", "objects by row", "csv"]
"""What is asked of a statement: its rows as they are, with text as bytes, one JSON answer, or a text for each row."""

_MAX_KEPT_COUNT = 256
_MAX_KEPT_CHARS = 8_192
"""Longer texts are looked at each time; with the count it bounds a connection's plans to some 5 MB."""


@dataclass(slots=True)
class Plan:
    """One text in one form."""

    statement: Statement
    form: Form
    sql: str | None
    """What to run; None when SQLite can't make this form, and rows have to be encoded here."""
    names: tuple[str, ...]
    """Of the columns, made unique."""
    rules: JsonRules
    envelope: bytes
    """What stands before the rows of an answer that tells its columns."""


class Plans:
    """The plans of one connection; when there are too many, the one whose text came first is forgotten."""

    def __init__(
        self, connection: apsw.Connection, authorizer: ReadAuthorizer, schema: Schema, rules: JsonRules
    ) -> None:
        self._connection = connection
        self._authorizer = authorizer
        self._schema = schema
        self._rules = rules
        self._kept: OrderedDict[tuple[str, Form], Plan] = OrderedDict()
        self.get = self._kept.get

    def made(self, sql: str, form: Form) -> Plan:
        """Return a plan for `sql`, looking at it anew.

        Raises:
            StorageError: `sql` is not a statement that may be read; see `inspected`.
        """
        statement = inspected(sql, self._connection, self._authorizer, self._schema)
        names = unique_names(column.name for column in statement.columns)
        plan = Plan(
            statement=statement,
            form=form,
            sql=None,
            names=names,
            rules=self._rules,
            envelope=b'{"columns":' + msgspec.json.encode(names) + b',"rows":[',
        )
        plan.sql = self._sql_for(plan)
        if len(sql) <= _MAX_KEPT_CHARS:
            self._kept[sql, form] = plan
            if len(self._kept) > _MAX_KEPT_COUNT:
                self._kept.popitem(last=False)
        self._authorizer.prepared = True  # with what may be another schema than the one looked at
        return plan

    def guard_infinity(self, plan: Plan) -> bool:
        """Make `plan` write the infinities as null; False if it does so already."""
        if plan.rules.infinity_is_guarded or plan.sql is None:
            return False
        plan.rules = JsonRules(
            big_integers_as_strings=plan.rules.big_integers_as_strings, infinity_is_guarded=True
        )
        plan.sql = self._sql_for(plan)
        return True

    def are_stale(self) -> bool:
        """Return whether something was prepared because the schema changed; if so, all plans are forgotten."""
        return self._authorizer.prepared and self.are_outdated()

    def are_outdated(self) -> bool:
        """Return whether the schema changed since this was last asked; if so, all plans are forgotten."""
        self._authorizer.prepared = False
        if not self._schema.has_changed():
            return False
        self._kept.clear()
        return True

    def _sql_for(self, plan: Plan) -> str | None:
        statement, form = plan.statement, plan.form
        if form == "rows":
            return statement.sql
        if not statement.is_select:
            return None
        columns, sql = statement.columns, statement.sql
        shape: Shape = "arrays" if form == "arrays" else "objects"
        if not can_wrap(len(columns), "csv" if form == "csv" else "arrays" if form == "bytes" else shape):
            return None
        if form == "bytes":
            wrapped = text_as_bytes(sql, columns)
        elif form == "csv":
            wrapped = csv_lines(sql, columns)
        elif form == "objects by row":
            wrapped = row_by_row(sql, columns, shape, plan.rules)
        else:
            wrapped = whole_answer(sql, columns, shape, plan.rules)
        return wrapped if self._prepares(wrapped) else None

    def _prepares(self, sql: str) -> bool:
        """Return whether SQLite takes `sql`; it does not where an unfinished comment ends the caller's text."""
        cursor = self._connection.cursor()
        cursor.exec_trace = lambda *_: False
        try:
            with self._schema.as_ours():
                cursor.execute(sql, NO_VALUES)
        except apsw.ExecTraceAbort:
            return True
        except (apsw.SQLError, apsw.TooBigError):
            return False
        finally:
            cursor.close(True)
        return True
