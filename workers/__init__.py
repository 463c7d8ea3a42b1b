"""Bounded work off the event loop: pools of workers (inline, thread, process) that run a service.

The names below are loaded when first used (PEP 562), so that a worker process imports only what its service needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.answers import Answer as Answer
    from workers.body import Body as Body
    from workers.bridges import Bridge as Bridge
    from workers.bridges import Bridges as Bridges
    from workers.bridges import BridgeSettings as BridgeSettings
    from workers.bridges import BridgeStatistics as BridgeStatistics
    from workers.bridges import Placement as Placement
    from workers.bridges import close_all as close_all
    from workers.bridges import open_bridges as open_bridges
    from workers.bridges.compression import CompressionBridge as CompressionBridge
    from workers.bridges.crypto import CryptoBridge as CryptoBridge
    from workers.bridges.files import FilesBridge as FilesBridge
    from workers.bridges.network import NetworkBridge as NetworkBridge
    from workers.bridges.own import ServiceBridge as ServiceBridge
    from workers.clock import Clock as Clock
    from workers.clock import SystemClock as SystemClock
    from workers.errors import InvalidParameters as InvalidParameters
    from workers.errors import InvalidResult as InvalidResult
    from workers.errors import PoolClosed as PoolClosed
    from workers.errors import PoolSaturated as PoolSaturated
    from workers.errors import PortableError as PortableError
    from workers.errors import ServiceUnavailable as ServiceUnavailable
    from workers.errors import TaskCancelled as TaskCancelled
    from workers.errors import TaskFailed as TaskFailed
    from workers.errors import TaskTimedOut as TaskTimedOut
    from workers.errors import UnknownMethod as UnknownMethod
    from workers.errors import WorkerDied as WorkerDied
    from workers.errors import WorkersError as WorkersError
    from workers.keys.envelopes import row_context as row_context
    from workers.keys.errors import DecryptError as DecryptError
    from workers.keys.errors import KeyNotUsable as KeyNotUsable
    from workers.keys.errors import KeyringBusy as KeyringBusy
    from workers.keys.errors import KeyringDamaged as KeyringDamaged
    from workers.keys.errors import KeysError as KeysError
    from workers.keys.errors import KeySourceRefused as KeySourceRefused
    from workers.keys.errors import MessageTooLarge as MessageTooLarge
    from workers.keys.errors import NonceReused as NonceReused
    from workers.keys.errors import NoncesExhausted as NoncesExhausted
    from workers.keys.errors import ReplayRefused as ReplayRefused
    from workers.keys.given_key import keyring_of as keyring_of
    from workers.keys.keyring import Keyring as Keyring
    from workers.keys.keyring import create_keyring as create_keyring
    from workers.keys.keyring import open_keyring as open_keyring
    from workers.keys.nonces import BlockStore as BlockStore
    from workers.keys.nonces import ReplayGuard as ReplayGuard
    from workers.keys.os_keyring import OsKeyringSource as OsKeyringSource
    from workers.keys.secrets import Secret as Secret
    from workers.keys.signing import SigningKey as SigningKey
    from workers.keys.sources import EnvironmentKeySource as EnvironmentKeySource
    from workers.keys.sources import FileKeySource as FileKeySource
    from workers.keys.sources import Hardening as Hardening
    from workers.keys.sources import KeySource as KeySource
    from workers.keys.sources import PassphraseKeySource as PassphraseKeySource
    from workers.ledger import SlowCall as SlowCall
    from workers.methods import MethodService as MethodService
    from workers.methods import Task as Task
    from workers.methods import method as method
    from workers.opening import open_pool as open_pool
    from workers.pool import Pool as Pool
    from workers.self_testing import SelfTest as SelfTest
    from workers.self_testing import self_test as self_test
    from workers.service import BatchService as BatchService
    from workers.service import Call as Call
    from workers.service import Service as Service
    from workers.services.compression.errors import CodecRefused as CodecRefused
    from workers.services.compression.errors import CompressionError as CompressionError
    from workers.services.compression.errors import DataDamaged as DataDamaged
    from workers.services.compression.errors import OutputTooLarge as OutputTooLarge
    from workers.services.compression.limits import OutputLimits as OutputLimits
    from workers.services.crypto.derivation import Argon2id as Argon2id
    from workers.services.crypto.derivation import Pbkdf2 as Pbkdf2
    from workers.services.crypto.derivation import Scrypt as Scrypt
    from workers.services.crypto.errors import CryptoError as CryptoError
    from workers.services.crypto.errors import FileRefused as FileRefused
    from workers.services.crypto.errors import KeyNotHere as KeyNotHere
    from workers.services.crypto.errors import SignatureInvalid as SignatureInvalid
    from workers.services.files.errors import ChunkRefused as ChunkRefused
    from workers.services.files.errors import FileBusy as FileBusy
    from workers.services.files.errors import FileChanged as FileChanged
    from workers.services.files.errors import FileError as FileError
    from workers.services.files.errors import FileExists as FileExists
    from workers.services.files.errors import FileMissing as FileMissing
    from workers.services.files.errors import FileUnreadable as FileUnreadable
    from workers.services.files.errors import PathRefused as PathRefused
    from workers.services.files.manifests import Manifest as Manifest
    from workers.services.files.service import HashedFile as HashedFile
    from workers.services.files.service import MergedFile as MergedFile
    from workers.services.files.service import SplitFile as SplitFile
    from workers.services.files.types import ArchiveFacts as ArchiveFacts
    from workers.services.files.types import AudioFacts as AudioFacts
    from workers.services.files.types import FileType as FileType
    from workers.services.files.types import ImageFacts as ImageFacts
    from workers.services.files.types import Metadata as Metadata
    from workers.services.files.types import PdfFacts as PdfFacts
    from workers.services.files.types import TextFacts as TextFacts
    from workers.services.network.messages import Target as Target
    from workers.sessions import Session as Session
    from workers.settings import Kind as Kind
    from workers.settings import Lane as Lane
    from workers.settings import PoolSettings as PoolSettings
    from workers.shared.board import SharedBoard as SharedBoard
    from workers.shared.cancellation import SharedCancellation as SharedCancellation
    from workers.shared.capabilities import Capabilities as Capabilities
    from workers.shared.capabilities import capabilities as capabilities
    from workers.shared.counter import SharedCounter as SharedCounter
    from workers.shared.errors import OwnerLost as OwnerLost
    from workers.shared.errors import SharedClosed as SharedClosed
    from workers.shared.errors import SharedRefused as SharedRefused
    from workers.shared.flag import SharedFlag as SharedFlag
    from workers.shared.progress import SharedProgress as SharedProgress
    from workers.statistics import PoolStatistics as PoolStatistics

_HOME = {
    "Answer": "answers",
    "ArchiveFacts": "services.files.types",
    "Argon2id": "services.crypto.derivation",
    "AudioFacts": "services.files.types",
    "BatchService": "service",
    "BlockStore": "keys.nonces",
    "Body": "body",
    "Bridge": "bridges",
    "BridgeSettings": "bridges",
    "BridgeStatistics": "bridges",
    "Bridges": "bridges",
    "Call": "service",
    "Capabilities": "shared.capabilities",
    "ChunkRefused": "services.files.errors",
    "Clock": "clock",
    "CodecRefused": "services.compression.errors",
    "CompressionBridge": "bridges.compression",
    "CompressionError": "services.compression.errors",
    "CryptoBridge": "bridges.crypto",
    "CryptoError": "services.crypto.errors",
    "DataDamaged": "services.compression.errors",
    "DecryptError": "keys.errors",
    "EnvironmentKeySource": "keys.sources",
    "FileBusy": "services.files.errors",
    "FileChanged": "services.files.errors",
    "FileError": "services.files.errors",
    "FileExists": "services.files.errors",
    "FileKeySource": "keys.sources",
    "FileMissing": "services.files.errors",
    "FileRefused": "services.crypto.errors",
    "FileType": "services.files.types",
    "FileUnreadable": "services.files.errors",
    "FilesBridge": "bridges.files",
    "Hardening": "keys.sources",
    "HashedFile": "services.files.service",
    "ImageFacts": "services.files.types",
    "InvalidParameters": "errors",
    "InvalidResult": "errors",
    "KeyNotHere": "services.crypto.errors",
    "KeyNotUsable": "keys.errors",
    "KeySource": "keys.sources",
    "KeySourceRefused": "keys.errors",
    "Keyring": "keys.keyring",
    "KeyringBusy": "keys.errors",
    "KeyringDamaged": "keys.errors",
    "KeysError": "keys.errors",
    "Kind": "settings",
    "Lane": "settings",
    "Manifest": "services.files.manifests",
    "MergedFile": "services.files.service",
    "MessageTooLarge": "keys.errors",
    "Metadata": "services.files.types",
    "MethodService": "methods",
    "NetworkBridge": "bridges.network",
    "NonceReused": "keys.errors",
    "NoncesExhausted": "keys.errors",
    "OsKeyringSource": "keys.os_keyring",
    "OutputLimits": "services.compression.limits",
    "OutputTooLarge": "services.compression.errors",
    "OwnerLost": "shared.errors",
    "PassphraseKeySource": "keys.sources",
    "PathRefused": "services.files.errors",
    "Pbkdf2": "services.crypto.derivation",
    "PdfFacts": "services.files.types",
    "Placement": "bridges",
    "Pool": "pool",
    "PoolClosed": "errors",
    "PoolSaturated": "errors",
    "PoolSettings": "settings",
    "PoolStatistics": "statistics",
    "PortableError": "errors",
    "ReplayGuard": "keys.nonces",
    "ReplayRefused": "keys.errors",
    "Scrypt": "services.crypto.derivation",
    "Secret": "keys.secrets",
    "SelfTest": "self_testing",
    "Service": "service",
    "ServiceBridge": "bridges.own",
    "ServiceUnavailable": "errors",
    "Session": "sessions",
    "SharedBoard": "shared.board",
    "SharedCancellation": "shared.cancellation",
    "SharedClosed": "shared.errors",
    "SharedCounter": "shared.counter",
    "SharedFlag": "shared.flag",
    "SharedProgress": "shared.progress",
    "SharedRefused": "shared.errors",
    "SignatureInvalid": "services.crypto.errors",
    "SigningKey": "keys.signing",
    "SlowCall": "ledger",
    "SplitFile": "services.files.service",
    "SystemClock": "clock",
    "Target": "services.network.messages",
    "Task": "methods",
    "TaskCancelled": "errors",
    "TaskFailed": "errors",
    "TaskTimedOut": "errors",
    "TextFacts": "services.files.types",
    "UnknownMethod": "errors",
    "WorkerDied": "errors",
    "WorkersError": "errors",
    "capabilities": "shared.capabilities",
    "close_all": "bridges",
    "create_keyring": "keys.keyring",
    "keyring_of": "keys.given_key",
    "method": "methods",
    "open_bridges": "bridges",
    "open_keyring": "keys.keyring",
    "open_pool": "opening",
    "row_context": "keys.envelopes",
    "self_test": "self_testing",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - one list, of names and homes


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'workers' has no attribute {name!r}")
    value = getattr(import_module(f"workers.{_HOME[name]}"), name)
    globals()[name] = value
    return value
