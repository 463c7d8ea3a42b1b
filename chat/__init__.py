"""Durable, ordered messages and actions: the queues, the chat domain and the client build on `storage`.

`open_messages` sends messages, `open_queue` delivers actions of any type; `chat.testing` has a kit for tests of both.
The names below are loaded when first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from chat.client.api import StoreTaken as StoreTaken
    from chat.client.client import Client as Client
    from chat.client.events import ActionDone as ActionDone
    from chat.client.events import ActionRolledBack as ActionRolledBack
    from chat.client.events import ClientEvent as ClientEvent
    from chat.client.events import ConnectionChanged as ConnectionChanged
    from chat.client.events import Ephemeral as Ephemeral
    from chat.client.events import EventsMissed as EventsMissed
    from chat.client.events import MessageChanged as MessageChanged
    from chat.client.events import ServerDraining as ServerDraining
    from chat.client.events import SettingsConflict as SettingsConflict
    from chat.client.events import SpaceChanged as SpaceChanged
    from chat.client.events import SpaceConflict as SpaceConflict
    from chat.client.events import UserChanged as UserChanged
    from chat.client.settings import ClientSettings as ClientSettings
    from chat.client.sync_client import SyncClient as SyncClient
    from chat.client.sync_client import SyncReceipt as SyncReceipt
    from chat.client.views import ChatMessage as ChatMessage
    from chat.client.views import ChatRoom as ChatRoom
    from chat.client.views import ChatSpace as ChatSpace
    from chat.client.views import Reaction as Reaction
    from chat.client.views import SpaceMember as SpaceMember
    from chat.client.views import StreamEvent as StreamEvent
    from chat.domain.account_settings import AccountSettings as AccountSettings
    from chat.domain.account_settings import PasswordCost as PasswordCost
    from chat.domain.feed import FedEvent as FedEvent
    from chat.domain.feed import Listener as Listener
    from chat.domain.ids import parsed_id as parsed_id
    from chat.domain.limits import ChatLimits as ChatLimits
    from chat.domain.log_imports import LogLine as LogLine
    from chat.domain.log_imports import StoredLines as StoredLines
    from chat.domain.permissions import Rank as Rank
    from chat.domain.refusals import ChatRefusal as ChatRefusal
    from chat.domain.refusals import ClientIdReused as ClientIdReused
    from chat.domain.refusals import Gone as Gone
    from chat.domain.refusals import InvalidValue as InvalidValue
    from chat.domain.refusals import LimitReached as LimitReached
    from chat.domain.refusals import Muted as Muted
    from chat.domain.refusals import NotFound as NotFound
    from chat.domain.refusals import NotPermitted as NotPermitted
    from chat.domain.refusals import OutOfTurn as OutOfTurn
    from chat.domain.refusals import Taken as Taken
    from chat.domain.refusals import TooOften as TooOften
    from chat.domain.refusals import UnknownSession as UnknownSession
    from chat.domain.refusals import VersionConflict as VersionConflict
    from chat.domain.refusals import WrongPassword as WrongPassword
    from chat.domain.restoring import restore_chat as restore_chat
    from chat.domain.rooms import RoomFields as RoomFields
    from chat.domain.search import SearchQuery as SearchQuery
    from chat.domain.sending import Ack as Ack
    from chat.domain.sending import NewMessage as NewMessage
    from chat.domain.sending import Order as Order
    from chat.domain.service import Chat as Chat
    from chat.domain.service import open_chat as open_chat
    from chat.domain.sessions import Ended as Ended
    from chat.domain.sessions import IssuedSession as IssuedSession
    from chat.domain.sessions import Session as Session
    from chat.domain.space_settings import SpaceFields as SpaceFields
    from chat.domain.streams import StreamState as StreamState
    from chat.domain.texts import NO_CONTROLS as NO_CONTROLS
    from chat.domain.texts import told_line as told_line
    from chat.domain.texts import told_number as told_number
    from chat.domain.users import UserRow as UserRow
    from chat.errors import ActionCancelled as ActionCancelled
    from chat.errors import ActionExpired as ActionExpired
    from chat.errors import ActionFailed as ActionFailed
    from chat.errors import ActionNotFound as ActionNotFound
    from chat.errors import AnswerLost as AnswerLost
    from chat.errors import AuthExpired as AuthExpired
    from chat.errors import ChatError as ChatError
    from chat.errors import ClientIdConflict as ClientIdConflict
    from chat.errors import Conflict as Conflict
    from chat.errors import DeliveryError as DeliveryError
    from chat.errors import Failure as Failure
    from chat.errors import FailureKind as FailureKind
    from chat.errors import InvalidAction as InvalidAction
    from chat.errors import NotAQueue as NotAQueue
    from chat.errors import NotDelivered as NotDelivered
    from chat.errors import NotPossible as NotPossible
    from chat.errors import Permanent as Permanent
    from chat.errors import QueueClosed as QueueClosed
    from chat.errors import QueueError as QueueError
    from chat.errors import QueueFull as QueueFull
    from chat.errors import RateLimited as RateLimited
    from chat.errors import TargetGone as TargetGone
    from chat.errors import Transient as Transient
    from chat.errors import UnknownActionType as UnknownActionType
    from chat.errors import Unreachable as Unreachable
    from chat.messages.events import MessageEvent as MessageEvent
    from chat.messages.events import MessageFailed as MessageFailed
    from chat.messages.events import MessageQueued as MessageQueued
    from chat.messages.events import MessageRetrying as MessageRetrying
    from chat.messages.events import MessageSent as MessageSent
    from chat.messages.events import SessionExpired as SessionExpired
    from chat.messages.face import ChatMessageQueue as ChatMessageQueue
    from chat.messages.face import FollowedMessages as FollowedMessages
    from chat.messages.face import MessageReceipt as MessageReceipt
    from chat.messages.face import MessageStatus as MessageStatus
    from chat.messages.opening import open_messages as open_messages
    from chat.queue.action_queue import ActionQueue as ActionQueue
    from chat.queue.action_queue import open_queue as open_queue
    from chat.queue.action_type import HIGH as HIGH
    from chat.queue.action_type import LOW as LOW
    from chat.queue.action_type import MIDDLE as MIDDLE
    from chat.queue.action_type import ActionType as ActionType
    from chat.queue.actions import ActionTypes as ActionTypes
    from chat.queue.built_in import BUILT_IN as BUILT_IN
    from chat.queue.clock import QueueClock as QueueClock
    from chat.queue.clock import SystemQueueClock as SystemQueueClock
    from chat.queue.control import Cancelled as Cancelled
    from chat.queue.events import Event as Event
    from chat.queue.events import Followed as Followed
    from chat.queue.handlers import Delivery as Delivery
    from chat.queue.handlers import Transport as Transport
    from chat.queue.news import FollowedNews as FollowedNews
    from chat.queue.news import News as News
    from chat.queue.news import QueueUpdated as QueueUpdated
    from chat.queue.notices import Notice as Notice
    from chat.queue.payloads import DeleteMessage as DeleteMessage
    from chat.queue.payloads import EditMessage as EditMessage
    from chat.queue.payloads import JoinSpace as JoinSpace
    from chat.queue.payloads import KickUser as KickUser
    from chat.queue.payloads import LeaveSpace as LeaveSpace
    from chat.queue.payloads import MuteUser as MuteUser
    from chat.queue.payloads import PinMessage as PinMessage
    from chat.queue.payloads import React as React
    from chat.queue.payloads import SaveUserConfig as SaveUserConfig
    from chat.queue.payloads import SendMessage as SendMessage
    from chat.queue.payloads import SyncSpaceKeys as SyncSpaceKeys
    from chat.queue.payloads import UnmuteUser as UnmuteUser
    from chat.queue.payloads import UnpinMessage as UnpinMessage
    from chat.queue.payloads import UpdateProfile as UpdateProfile
    from chat.queue.payloads import UpdateSpace as UpdateSpace
    from chat.queue.reading import ListedAction as ListedAction
    from chat.queue.reading import QueueReader as QueueReader
    from chat.queue.reading import read_queue as read_queue
    from chat.queue.receipts import Receipt as Receipt
    from chat.queue.sealing import CannotOpen as CannotOpen
    from chat.queue.sealing import CannotSeal as CannotSeal
    from chat.queue.sealing import KeyringSeal as KeyringSeal
    from chat.queue.sealing import Seal as Seal
    from chat.queue.sealing import SealError as SealError
    from chat.queue.settings import QueueSettings as QueueSettings
    from chat.queue.states import State as State
    from chat.queue.views import ActionView as ActionView
    from chat.queue.views import Statistics as Statistics
    from chat.queue.views import Why as Why
    from chat.settings import ChatSettings as ChatSettings
    from chat.sync.document import Bookmark as Bookmark
    from chat.sync.document import Folder as Folder
    from chat.sync.document import InvalidSettings as InvalidSettings
    from chat.sync.document import SettingsDocument as SettingsDocument
    from chat.sync.document import SettingsTooNew as SettingsTooNew
    from chat.sync.merge import FieldConflict as FieldConflict
    from chat.sync.sealing import SealedSettings as SealedSettings
    from chat.sync.sealing import SettingsForged as SettingsForged

_HOME = {
    "AccountSettings": "domain.account_settings",
    "Ack": "domain.sending",
    "ActionCancelled": "errors",
    "ActionDone": "client.events",
    "ActionExpired": "errors",
    "ActionFailed": "errors",
    "ActionNotFound": "errors",
    "ActionQueue": "queue.action_queue",
    "ActionRolledBack": "client.events",
    "ActionType": "queue.action_type",
    "ActionTypes": "queue.actions",
    "ActionView": "queue.views",
    "AnswerLost": "errors",
    "AuthExpired": "errors",
    "BUILT_IN": "queue.built_in",
    "Bookmark": "sync.document",
    "Cancelled": "queue.control",
    "CannotOpen": "queue.sealing",
    "CannotSeal": "queue.sealing",
    "Chat": "domain.service",
    "ChatError": "errors",
    "ChatLimits": "domain.limits",
    "ChatMessage": "client.views",
    "ChatMessageQueue": "messages.face",
    "ChatRefusal": "domain.refusals",
    "ChatRoom": "client.views",
    "ChatSettings": "settings",
    "ChatSpace": "client.views",
    "Client": "client.client",
    "ClientEvent": "client.events",
    "ClientIdConflict": "errors",
    "ClientIdReused": "domain.refusals",
    "ClientSettings": "client.settings",
    "Conflict": "errors",
    "ConnectionChanged": "client.events",
    "DeleteMessage": "queue.payloads",
    "Delivery": "queue.handlers",
    "DeliveryError": "errors",
    "EditMessage": "queue.payloads",
    "Ended": "domain.sessions",
    "Ephemeral": "client.events",
    "Event": "queue.events",
    "EventsMissed": "client.events",
    "Failure": "errors",
    "FailureKind": "errors",
    "FedEvent": "domain.feed",
    "FieldConflict": "sync.merge",
    "Folder": "sync.document",
    "Followed": "queue.events",
    "FollowedMessages": "messages.face",
    "FollowedNews": "queue.news",
    "Gone": "domain.refusals",
    "HIGH": "queue.action_type",
    "InvalidAction": "errors",
    "InvalidSettings": "sync.document",
    "InvalidValue": "domain.refusals",
    "IssuedSession": "domain.sessions",
    "JoinSpace": "queue.payloads",
    "KeyringSeal": "queue.sealing",
    "KickUser": "queue.payloads",
    "LOW": "queue.action_type",
    "LeaveSpace": "queue.payloads",
    "LimitReached": "domain.refusals",
    "ListedAction": "queue.reading",
    "Listener": "domain.feed",
    "LogLine": "domain.log_imports",
    "MIDDLE": "queue.action_type",
    "MessageChanged": "client.events",
    "MessageEvent": "messages.events",
    "MessageFailed": "messages.events",
    "MessageQueued": "messages.events",
    "MessageReceipt": "messages.face",
    "MessageRetrying": "messages.events",
    "MessageSent": "messages.events",
    "MessageStatus": "messages.face",
    "MuteUser": "queue.payloads",
    "Muted": "domain.refusals",
    "NO_CONTROLS": "domain.texts",
    "NewMessage": "domain.sending",
    "News": "queue.news",
    "NotAQueue": "errors",
    "NotDelivered": "errors",
    "NotFound": "domain.refusals",
    "NotPermitted": "domain.refusals",
    "NotPossible": "errors",
    "Notice": "queue.notices",
    "Order": "domain.sending",
    "OutOfTurn": "domain.refusals",
    "PasswordCost": "domain.account_settings",
    "Permanent": "errors",
    "PinMessage": "queue.payloads",
    "QueueClock": "queue.clock",
    "QueueClosed": "errors",
    "QueueError": "errors",
    "QueueFull": "errors",
    "QueueReader": "queue.reading",
    "QueueSettings": "queue.settings",
    "QueueUpdated": "queue.news",
    "Rank": "domain.permissions",
    "RateLimited": "errors",
    "React": "queue.payloads",
    "Reaction": "client.views",
    "Receipt": "queue.receipts",
    "RoomFields": "domain.rooms",
    "SaveUserConfig": "queue.payloads",
    "Seal": "queue.sealing",
    "SealError": "queue.sealing",
    "SealedSettings": "sync.sealing",
    "SearchQuery": "domain.search",
    "SendMessage": "queue.payloads",
    "ServerDraining": "client.events",
    "Session": "domain.sessions",
    "SessionExpired": "messages.events",
    "SettingsConflict": "client.events",
    "SettingsDocument": "sync.document",
    "SettingsForged": "sync.sealing",
    "SettingsTooNew": "sync.document",
    "SpaceChanged": "client.events",
    "SpaceConflict": "client.events",
    "SpaceFields": "domain.space_settings",
    "SpaceMember": "client.views",
    "State": "queue.states",
    "Statistics": "queue.views",
    "StoreTaken": "client.api",
    "StoredLines": "domain.log_imports",
    "StreamEvent": "client.views",
    "StreamState": "domain.streams",
    "SyncClient": "client.sync_client",
    "SyncReceipt": "client.sync_client",
    "SyncSpaceKeys": "queue.payloads",
    "SystemQueueClock": "queue.clock",
    "Taken": "domain.refusals",
    "TargetGone": "errors",
    "TooOften": "domain.refusals",
    "Transient": "errors",
    "Transport": "queue.handlers",
    "UnknownActionType": "errors",
    "UnknownSession": "domain.refusals",
    "UnmuteUser": "queue.payloads",
    "UnpinMessage": "queue.payloads",
    "Unreachable": "errors",
    "UpdateProfile": "queue.payloads",
    "UpdateSpace": "queue.payloads",
    "UserChanged": "client.events",
    "UserRow": "domain.users",
    "VersionConflict": "domain.refusals",
    "Why": "queue.views",
    "WrongPassword": "domain.refusals",
    "open_chat": "domain.service",
    "open_messages": "messages.opening",
    "open_queue": "queue.action_queue",
    "parsed_id": "domain.ids",
    "read_queue": "queue.reading",
    "restore_chat": "domain.restoring",
    "told_line": "domain.texts",
    "told_number": "domain.texts",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - one list, of names and homes


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'chat' has no attribute {name!r}")
    value = getattr(import_module(f"chat.{_HOME[name]}"), name)
    globals()[name] = value
    return value
