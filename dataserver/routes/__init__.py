"""All routes of the server, one module a resource."""

from __future__ import annotations

from typing import Final

from dataserver.route import Route
from dataserver.routes import (
    accounts,
    admin,
    backups,
    changes,
    databases,
    execute,
    export,
    imports,
    live,
    members,
    message_search,
    messages,
    operation,
    pages,
    profiles,
    query,
    rooms,
    rows,
    search,
    settings,
    spaces,
    storage_report,
    stream_events,
    tables,
    tokens,
    web,
)

ROUTES: Final[tuple[Route, ...]] = (
    *databases.ROUTES,
    *backups.ROUTES,
    *query.ROUTES,
    *execute.ROUTES,
    *tables.ROUTES,
    *pages.ROUTES,
    *rows.ROUTES,
    *search.ROUTES,
    *export.ROUTES,
    *imports.ROUTES,
    *changes.ROUTES,
    *live.ROUTES,
    *accounts.ROUTES,
    *profiles.ROUTES,
    *spaces.ROUTES,
    *members.ROUTES,
    *rooms.ROUTES,
    *message_search.ROUTES,
    *messages.ROUTES,
    *stream_events.ROUTES,
    *settings.ROUTES,
    *tokens.ROUTES,
    *operation.ROUTES,
    *admin.ROUTES,
    *storage_report.ROUTES,
    *web.ROUTES,
)
