"""PyPI's `mcp` client in both eras, through every tool: a session of three users, approvals of every kind, progress, cancellation,
subscriptions, and what bad input gets."""

import asyncio
import contextlib
import json
import os
import subprocess
import time
import warnings

from mcp import Client, types
from mcp.client.stdio import StdioServerParameters
from mcp.client.subscriptions import ResourceUpdated
from mcp.shared.exceptions import MCPError

from world import PROGRAM, World, check, equal, holds, ids

CURRENT = "parler://session/current"


class Human:
    """Answers questions as a test says, and remembers them."""

    def __init__(self):
        self.says, self.asked = types.ElicitResult(action="cancel"), []

    async def __call__(self, _context, question):
        self.asked.append(question)
        return self.says

    def decides(self, decision):
        self.says = types.ElicitResult(action="accept", content={"decision": decision})


class Agent:
    """An agent's client, and what its server told it besides answers."""

    def __init__(self, person, mode, human=None, **env):
        self.person, self.updates = person, []
        server = StdioServerParameters(
            command=str(PROGRAM), args=["mcp"], cwd=person.repo, env=person.env | {key: str(value) for key, value in env.items()}
        )
        self.client = Client(server, mode=mode, elicitation_callback=human, message_handler=self.hear)

    async def hear(self, message):
        if isinstance(message, types.ResourceUpdatedNotification):
            self.updates.append(message.params.uri)

    async def __aenter__(self):
        await self.client.__aenter__()
        # With the list the client knows the schemas, and holds every answer to them.
        await self.client.list_tools()
        return self

    async def __aexit__(self, *error):
        return await self.client.__aexit__(*error)

    async def call(self, tool, progress=None, **arguments):
        """Calls a tool that must succeed; returns its text and its object, which name the same ids."""
        result = await self.client.call_tool(f"parler_{tool}", arguments, progress_callback=progress)
        text = result.content[0].text
        if result.is_error:
            raise AssertionError(f"parler_{tool}: {text}")
        holds(text, *ids(result.structured_content))
        for message in result.structured_content.get("messages", []):
            holds(text, f"\n{message['seq']} ")
        return text, result.structured_content

    async def refused(self, tool, *parts, **arguments):
        """Calls a tool that must fail, with an error that has `parts`, and no object."""
        result = await self.client.call_tool(f"parler_{tool}", arguments)
        text = result.content[0].text
        if not result.is_error:
            raise AssertionError(f"parler_{tool} did not fail: {text}")
        equal(result.structured_content, None)
        holds(text, "error: ", *parts)


async def settled(condition, seconds=10):
    """Waits until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)


async def said(agent, *texts):
    """Reads what is new, which are these texts, each once."""
    _, got = await agent.call("recv", wait=5)
    equal([message.get("text") for message in got["messages"]], list(texts))
    _, got = await agent.call("recv")
    equal(got["messages"], [])


async def session(world, era, mode):
    """Opens a session, has one joiner let in and one turned away, and returns what the rest needs."""
    hub = world.hub()
    ada, bob, carol = (world.person(f"{name}-{era}", hub) for name in ("ada", "bob", "carol"))
    human = Human()
    async with contextlib.AsyncExitStack() as stack:
        of = {}
        for name, person, asks in ("ada", ada, human), ("mute", ada, None), ("bob", bob, None), ("carol", carol, None):
            of[name] = await stack.enter_async_context(Agent(person, mode, asks))
        version = of["ada"].client.protocol_version
        with check(f"python {era}: speaks its revision"):
            equal(version, {"modern": "2026-07-28", "legacy": "2025-11-25"}[era])
        with check(f"python {era}: parler_open_session"):
            text, opened = await of["ada"].call("open_session", recap="where we are", topic=f"talk of {era}")
            holds(text, opened["join_line"], opened["room"][:12])
        with check(f"python {era}: parler_status"):
            text, status = await of["ada"].call("status")
            equal((status["role"], status["session"]), ("owner", opened["room"]))
            holds(text, opened["room"][:12], status["me"]["name"], hub)
        with check(f"python {era}: a wrong key is refused with a remedy"):
            await of["bob"].refused("join_session", "hint: ", key="gp1-nothing")
            wrong = opened["key"][:-3] + ("abc" if opened["key"][-3:] != "abc" else "cba")
            await of["bob"].refused("join_session", "hint: ", key=wrong)
        with check(f"python {era}: parler_join_session waits for the owner"):
            text, asked = await of["bob"].call("join_session", key=opened["key"])
            equal(asked["state"], "pending")
            holds(text, asked["words"])
            text, got = await of["ada"].call("recv")
            equal([request["name"] for request in got["pending"]], [bob.name])
            holds(text, bob.name, asked["words"], "parler_approve_join")
        approve = {"joiner": asked["words"], "decision": "approve"}
        with check(f"python {era}: a host that cannot ask is told what the human runs"):
            text, decided = await of["mute"].call("approve_join", **approve)
            equal(decided["state"], "needs_human")
            holds(text, decided["command"], asked["words"])
        for action in "decline", "cancel":
            with check(f"python {era}: a {action} decides nothing"):
                human.says = types.ElicitResult(action=action)
                _, decided = await of["ada"].call("approve_join", **approve)
                equal(decided["state"], "pending")
        with check(f"python {era}: a form without a decision decides nothing"):
            human.says = types.ElicitResult(action="accept", content={"decision": "whatever"})
            _, decided = await of["ada"].call("approve_join", joiner=asked["words"], decision="deny")
            equal(decided["state"], "pending")
        with check(f"python {era}: parler_approve_join asks the human, who lets somebody in"):
            human.decides("approve")
            # What the agent proposes counts for nothing once there is a human.
            _, decided = await of["ada"].call("approve_join", joiner=asked["words"], decision="deny")
            equal((decided["state"], decided["joiner"]["name"]), ("member", bob.name))
            holds(human.asked[-1].message, bob.name, asked["words"])
            text, joined = await of["bob"].call("join_session", key=opened["key"], wait=10)
            equal((joined["state"], joined["session"]), ("member", opened["room"]))
            holds(text, "where we are")
        with check(f"python {era}: the human turns somebody away for good"):
            _, asked = await of["carol"].call("join_session", key=opened["key"])
            human.decides("deny")
            _, decided = await of["ada"].call("approve_join", joiner=asked["words"], decision="approve")
            equal(decided["state"], "denied")
            _, joined = await of["carol"].call("join_session", key=opened["key"], wait=5)
            equal(joined["state"], "denied")
        # Who has joined and who was turned away is news as well.
        await of["ada"].call("recv")
        await of["bob"].call("recv")
        await talk(era, of["ada"], of["bob"])
        await handoff(era, of["ada"], of["bob"])
        await resources(era, of["ada"], of["bob"])
        await bad_input(era, of["ada"], of["bob"], opened["room"])
    await alone(world, era, mode, ada)


async def talk(era, ada, bob):
    with check(f"python {era}: parler_send and parler_recv, each message once"):
        text, sent = await ada.call("send", text="hello\nthere")
        holds(text, str(sent["seq"]))
        await said(bob, "hello\nthere")
        text, again = await bob.call("recv", after=sent["seq"] - 1)
        equal([message["text"] for message in again["messages"]], ["hello\nthere"])
    with check(f"python {era}: a message in the middle of a wait ends it"):
        waits = asyncio.create_task(bob.call("recv", wait=30))
        await asyncio.sleep(0.5)
        await ada.call("send", text="now")
        async with asyncio.timeout(5):
            _, got = await waits
        equal([message["text"] for message in got["messages"]], ["now"])
    with check(f"python {era}: a wait that is cancelled takes no message"):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(bob.call("recv", wait=30), 1)
        await ada.call("send", text="after the end of a wait")
        await said(bob, "after the end of a wait")
    with check(f"python {era}: ten calls at once"):
        calls = [ada.call("send", text=f"one of ten: {number}") for number in range(5)]
        calls += [ada.call("status") for _ in range(5)]
        async with asyncio.timeout(30):
            await asyncio.gather(*calls)
        _, got = await bob.call("recv", wait=5)
        equal(sorted(message["text"] for message in got["messages"]), [f"one of ten: {number}" for number in range(5)])
    if era == "modern":
        with check("python: a long wait says that it still waits"):
            heard = []
            text, _ = await bob.call("recv", wait=12, progress=collect(heard))
            holds(text, "Nothing new")
            equal([(round(done), total) for done, total in heard], [(10, 12)])


def collect(heard):
    async def hear(done, total, _message):
        heard.append((done, total))

    return hear


async def handoff(era, ada, bob):
    size = 24 * 1024 * 1024
    commit = ada.person.commit("big", os.urandom(size), "something big")
    with check(f"python {era}: a push that is cancelled in the middle hands nothing over"):
        await cancelled(ada, "push", base="HEAD~1")
        equal(ada.person.parler("list")["handoffs"], [])
    with check(f"python {era}: parler_push of some MiB says how far it is"):
        heard, before = [], ada.person.snapshot()
        text, pushed = await ada.call("push", base="HEAD~1", progress=collect(heard))
        equal((pushed["tip"], pushed["commits"]), (commit, 1))
        equal(ada.person.snapshot(), before)
        grows(heard, size)
    with check(f"python {era}: a fetch that is cancelled in the middle leaves nothing wrong"):
        await cancelled(bob, "fetch", id=pushed["id"])
    with check(f"python {era}: parler_fetch verifies it, and no repository changes"):
        heard, before = [], bob.person.snapshot()
        text, got = await bob.call("recv", wait=5)
        equal([message["bundle"]["id"] for message in got["messages"]], [pushed["id"]])
        text, fetched = await bob.call("fetch", id=pushed["id"][:12], progress=collect(heard))
        holds(text, "something big", ada.person.name, fetched["apply_with"], commit[:12])
        equal((fetched["id"], fetched["signature"], fetched["tip"]), (pushed["id"], "valid", commit))
        equal(bob.person.snapshot(), before)
        grows(heard, size)
    with check(f"python {era}: what the human then runs takes it in"):
        bob.person.run("sh", "-c", fetched["apply_with"])
        equal(bob.person.git("rev-parse", f"refs/parler/{pushed['id'][:12]}^{{commit}}").strip(), commit)


async def cancelled(agent, tool, **arguments):
    """Cancels a transfer as soon as it says how far it is."""
    started = asyncio.Event()

    async def hear(*_):
        started.set()

    call = asyncio.create_task(agent.call(tool, progress=hear, **arguments))
    async with asyncio.timeout(20):
        await started.wait()
    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        text, _ = await call
        raise AssertionError(f"it came to its end: {text}")


def grows(heard, size):
    done = [done for done, _ in heard]
    if not done or done != sorted(set(done)) or any(done > total or total < size for done, total in heard):
        raise AssertionError(f"progress was {heard}")


async def resources(era, ada, bob):
    with check(f"python {era}: the transcript and a handoff are resources"):
        listed = (await ada.client.list_resources()).resources
        equal([str(resource.uri) for resource in listed], [CURRENT])
        templates = (await ada.client.list_resource_templates()).resource_templates
        equal([template.uri_template for template in templates], ["parler://session/{name}", "parler://bundle/{sha256}"])
        holds((await bob.client.read_resource(CURRENT)).contents[0].text, "something big", "hello")
        _, got = await bob.call("recv", after=0)
        handoff = next(message["bundle"]["id"] for message in got["messages"] if "bundle" in message)
        known = json.loads((await bob.client.read_resource(f"parler://bundle/{handoff}")).contents[0].text)
        equal((known["id"], known["summary"]), (handoff, "something big"))
    with check(f"python {era}: a resource that there is not is an error"):
        for uri in "parler://bundle/../../etc/passwd", f"parler://bundle/{'0' * 64}", "file:///etc/passwd", "parler://session/nothing":
            with contextlib.suppress(MCPError):
                got = await bob.client.read_resource(uri)
                raise AssertionError(f"{uri} is {got.contents}")
    with check(f"python {era}: a watched transcript says that it goes on"):
        if era == "modern":
            async with bob.client.listen(resource_subscriptions=[CURRENT]) as watch, asyncio.timeout(10):
                equal(watch.honored.resource_subscriptions, [CURRENT])
                # One update comes once it is followed, since something may have been said before that.
                equal(await anext(watch), ResourceUpdated(uri=CURRENT))
                await ada.call("send", text="watched")
                equal(await anext(watch), ResourceUpdated(uri=CURRENT))
        else:
            with warnings.catch_warnings(action="ignore"):
                await bob.client.subscribe_resource(CURRENT)
                await settled(lambda: bob.updates == [CURRENT])
                await ada.call("send", text="watched")
                await settled(lambda: bob.updates == [CURRENT, CURRENT])
                await bob.client.unsubscribe_resource(CURRENT)
        holds((await bob.client.read_resource(CURRENT)).contents[0].text, "watched")
    with check(f"python {era}: both prompts"):
        equal([prompt.name for prompt in (await ada.client.list_prompts()).prompts], ["join", "share"])
        share = await ada.client.get_prompt("share", {"topic": "retries"})
        holds(share.messages[0].content.text, "retries", "parler_open_session", "parler_push")
        join = await ada.client.get_prompt("join", {"key": "gp1-key"})
        holds(join.messages[0].content.text, "gp1-key", "parler_join_session")
    await bob.call("recv")


async def bad_input(era, ada, bob, room):
    before = bob.person.snapshot()
    with check(f"python {era}: arguments that are unknown, missing or of a wrong type"):
        await bob.refused("send", "unknown field `to_whom`", text="x", to_whom="ada")
        await bob.refused("send", "missing field `text`")
        await bob.refused("send", "invalid type", text=7)
        await bob.refused("recv", "invalid", wait=-1)
        await bob.refused("recv", "at most 50", wait=51)
        await bob.refused("recv", "invalid type", after="x")
        await bob.refused("status", "hint: ", session="no such session")
        await bob.refused("approve_join", "unknown variant", joiner="x", decision="maybe")
        await bob.refused("approve_join", "hint: ", joiner="nobody", decision="approve")
        await bob.refused("open_session", "`ttl` is 1 to", recap="x", ttl=0)
        with contextlib.suppress(MCPError):
            result = await bob.client.call_tool("parler_apply", {"id": "1234"})
            equal(result.is_error, True)
    with check(f"python {era}: paths as ids, and repositories that are none"):
        for path in "../../../etc/passwd", "..", "/etc/passwd", "", "-x", "refs/heads/main", "\x00":
            await bob.refused("fetch", "hint: ", id=path)
        await bob.refused("fetch", "(not_found)", id="0" * 64)
        await bob.refused("push", "hint: ", repo="/")
        await bob.refused("push", "hint: ", repo="../nowhere")
        await bob.refused("push", "hint: ", rev="--output=/tmp/x")
        await bob.refused("push", "hint: ", base="no/such/../revision")
    with check(f"python {era}: a text of 10 MB, and the next call works"):
        with contextlib.suppress(MCPError, TimeoutError):
            result = await bob.client.call_tool("parler_send", {"text": "x" * 10_000_000}, read_timeout_seconds=5)
            equal(result.is_error, True)
        _, status = await bob.call("status")
        equal(status["session"], room)
    with check(f"python {era}: a text that is too long for a session"):
        await bob.refused("send", "hint: ", text="x" * 2_000_000)
        _, got = await ada.call("recv")
        equal(got["messages"], [])
    with check(f"python {era}: nothing of that has changed the repository"):
        equal(bob.person.snapshot(), before)


async def alone(world, era, mode, ada):
    """What needs a server of its own."""
    with check(f"python {era}: a hub that is down is an error with a remedy"):
        async with Agent(world.person(f"dan-{era}"), mode, PARLER_HUB="ws://127.0.0.1:1") as agent:
            async with asyncio.timeout(20):
                for tool in "status", "recv", "push":
                    await agent.refused(tool, "(hub_unreachable)", "hint: ")
            # Who asks for what needs no hub gets it all the same.
            equal(len((await agent.client.list_prompts()).prompts), 2)
    with check(f"python {era}: input that ends in the middle of a call ends the server within a second"):
        server = subprocess.Popen(
            [PROGRAM, "mcp"], env=ada.env, cwd=ada.repo, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        for line in middle(era):
            server.stdin.write(json.dumps({"jsonrpc": "2.0"} | line).encode() + b"\n")
            server.stdin.flush()
            if line.get("id") == 1:
                server.stdout.readline()
        await asyncio.sleep(1)
        equal(server.poll(), None)
        began = time.monotonic()
        server.stdin.close()
        equal(server.wait(5), 0)
        if time.monotonic() - began > 1:
            raise AssertionError(f"it took {time.monotonic() - began:.1f} s")


def middle(era):
    """Returns the lines of a client that waits for messages."""
    call = {"name": "parler_recv", "arguments": {"wait": 50}}
    if era == "legacy":
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        yield {"id": 1, "method": "initialize", "params": hello}
        yield {"method": "notifications/initialized"}
        yield {"id": 2, "method": "tools/call", "params": call}
    else:
        prefix = "io.modelcontextprotocol/"
        me = {"clientInfo": {"name": "test", "version": "1"}, "clientCapabilities": {}, "protocolVersion": "2026-07-28"}
        meta = {"_meta": {prefix + key: value for key, value in me.items()}}
        yield {"id": 1, "method": "server/discover", "params": meta}
        yield {"id": 2, "method": "tools/call", "params": call | meta}


with World() as world:
    for era, mode in ("modern", "auto"), ("legacy", "legacy"):
        with check(f"python {era}: the whole session"):
            asyncio.run(session(world, era, mode))
