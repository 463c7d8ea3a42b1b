"""One of everything else: done without a connection, the client killed, started again and let online; each counts once."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import anyio

from tests.crash.chat_log.run import PASSWORD, Caller, Verdict, world
from tests.support.flaky_proxy import Flaws

IN_ROOM = {
    "message.edited": 1,
    "message.deleted": 1,
    "message.created": 1,
    "reaction.added": 1,
    "pin.added": 1,
    "pin.removed": 1,
}
IN_SPACE = {"space.updated": 1, "member.muted": 1, "member.unmuted": 1, "member.kicked": 1}


async def run(folder: Path, *, seed: int) -> Verdict:
    """Do it, and count what each stream tells of it."""
    verdict = Verdict()
    async with world(folder, seed=seed, flaws=Flaws(cut=0.02)) as (server, proxy):
        owner = await Caller.registered(server.url, "owner")
        actor = await Caller.registered(server.url, "actor")
        others = {name: await Caller.registered(server.url, name) for name in ("muted", "unmuted", "kicked")}
        ids = {name: (await each.get("/v1/me"))["id"] for name, each in {"actor": actor, **others}.items()}
        space, open_space, old_space = [
            (await owner.post("/v1/spaces", name=name, is_open=True))["id"]
            for name in ("Home", "Open", "Old")
        ]
        room = (await owner.post(f"/v1/spaces/{space}/rooms", name="general"))["id"]
        for each in (actor, *others.values()):
            await each.post(f"/v1/spaces/{space}/join")
        await actor.post(f"/v1/spaces/{old_space}/join")
        await owner.patch(f"/v1/spaces/{space}/members/{ids['actor']}", role="admin")
        await owner.put(f"/v1/spaces/{space}/members/{ids['unmuted']}/mute", until_ms=2**45)
        mine, doomed, pinned = [
            (await actor.post(f"/v1/rooms/{room}/messages", content=text))["id"]
            for text in ("mine", "doomed", "pinned")
        ]
        other = (await owner.post(f"/v1/rooms/{room}/messages", content="of another"))["id"]
        await owner.put(f"/v1/rooms/{room}/pins/{pinned}")
        before = {stream: await _count(owner, stream) for stream in (room, space, open_space, old_space)}
        order = {
            "url": f"http://127.0.0.1:{proxy.port}",
            "store": str(folder / "actor"),
            "name": "actor",
            "password": PASSWORD,
            "phase": "offline",
            "key": "17" * 32,
            "room": room,
            "space": space,
            "open_space": open_space,
            "old_space": old_space,
            "mine": mine,
            "doomed": doomed,
            "pinned": pinned,
            "other": other,
            **{name: ids[name] for name in others},
        }
        verdict.wrong["did not end by the kill"] += await _child(folder, order) != -signal.SIGKILL
        verdict.wrong["got out before it was online"] += before != {
            stream: await _count(owner, stream) for stream in before
        }
        verdict.wrong["did not end well"] += await _child(folder, {**order, "phase": "online"}) != 0
        for stream, wanted in (
            (room, IN_ROOM),
            (space, IN_SPACE),
            (open_space, {"member.joined": 1}),
            (old_space, {"member.left": 1}),
        ):
            found = await _kinds(owner, stream, ids["actor"], before[stream])
            verdict.done.update({f"{kind}": found[kind] for kind in wanted})
            wrong = (Counter(wanted) - found) + (found - Counter(wanted))
            verdict.wrong.update({f"times of {kind}": count for kind, count in wrong.items()})
        profile = await actor.get("/v1/me")
        verdict.wrong["profile"] += profile["display_name"] != "Offline"
        verdict.wrong["version of the profile"] += profile["version"] != 2
        verdict.wrong["version of the settings"] += (await actor.get("/v1/me/settings"))["version"] != 1
        keys = (await actor.get("/v1/me/space-keys"))["keys"]
        verdict.wrong["space keys"] += [each["blob"] for each in keys] != ["a sealed key"]
    return verdict


async def _child(folder: Path, order: dict[str, Any]) -> int | None:
    place = folder / f"{order['phase']}.json"
    await anyio.Path(place).write_text(json.dumps(order), encoding="utf-8")
    command = [sys.executable, "-m", "tests.crash.chat_log.child", str(place)]
    with place.with_suffix(".log").open("wb") as log:
        process = await anyio.open_process(command, stdout=log, stderr=log)
    async with process:
        with anyio.move_on_after(120):
            return await process.wait()
        process.kill()
    return None


async def _count(owner: Caller, stream: str) -> int:
    return len(await owner.all(f"/v1/rooms/{stream}/events", "events"))


async def _kinds(owner: Caller, stream: str, actor: str, after_seq: int) -> Counter[str]:
    events = await owner.all(f"/v1/rooms/{stream}/events", "events")
    return Counter(event["kind"] for event in events if event["seq"] > after_seq and event["actor"] == actor)
