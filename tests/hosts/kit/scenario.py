"""What each host is put through: it is wired to the server, shows it as connected, and its model, which is faked, reads what another
worktree said and handed over, looks at that, and hands a commit over itself. With hooks it goes on where a message has come while it
worked, and ends where none has."""

import json
import re
import time

from fake_model import FakeModel
from world import INSTALLED, World, check, equal, holds


WORD = "and by the way, this too"


def host(name, prepare, connected, command, wired_as=None, trusting=(), ends=None):
    """Runs the checks of a host.

    `prepare(person, model)` writes its settings. The server is added to them by `git parler connect`, to which the host is
    `wired_as`. `connected(person)` looks whether the host gets on with the server; `command(person, model)` is what has it ask its
    model, with what it needs in the environment. `trusting` are the words by which it runs hooks that nobody has trusted by hand. Where a
    host runs no hooks while nobody sits before it, `ends(person, other)` checks what it would run when a turn ends.
    """
    with World() as world:
        ada = world.person("ada")
        ada.env["PATH"] += f":{INSTALLED}/node_modules/.bin"
        other = ada.worktree("other")
        tip = other.commit("theirs", b"theirs\n", "made in the other worktree")
        theirs = other.parler("push", "--base", "HEAD~1")["id"]
        other.parler("send", "look at this, please")
        ada.commit("ours", b"ours\n", "made by the agent")
        model = FakeModel([
            ("parler_recv", {}),
            ("parler_fetch", {"id": theirs[:12]}),
            ("parler_push", {"base": "HEAD~1", "summary": "from the agent"}),
        ])
        prepare(ada, model)
        with check(f"{name}: is wired"):
            told = ada.parler("connect", "--host", wired_as or name)
            equal([(of["host"], of["state"]) for of in told["hosts"]], [(wired_as or name, "added")])
        with check(f"{name}: is connected"):
            connected(ada)
        before = ada.snapshot()
        with check(f"{name}: its model ends its turn"):
            words, more = command(ada, model)
            ada.run(*words, more=more)
        with check(f"{name}: its model was told the tools"):
            for tool in "approve_join", "fetch", "join_session", "open_session", "push", "recv", "send", "status":
                equal(len([told for told in model.tools if told.endswith(f"parler_{tool}")]), 1)
        shown = model.shown + ["nothing"] * 3
        with check(f"{name}: parler_recv shows what was said and handed over"):
            holds(shown[0], theirs[:12], "look at this, please", "made in the other worktree")
        with check(f"{name}: parler_fetch shows what was handed over"):
            holds(shown[1], theirs[:12], tip[:12], "made in the other worktree", "parler apply", "theirs")
        with check(f"{name}: the repository is as it was"):
            equal(ada.snapshot(), before)
        with check(f"{name}: parler_push hands over"):
            listed = other.parler("list")["handoffs"]
            ours = next((handoff for handoff in listed if handoff["summary"] == "from the agent"), None)
            equal(ours and (ours["author"]["name"], ours["commits"]), ("ada", 1))
            holds(shown[2], ours["id"][:12])
            # The other worktree has its references in the same repository, so that it changes only here.
            other.parler("apply", ours["id"])
            equal(other.git("show", "-s", "--format=%s", f"refs/parler/{ours['id'][:12]}").strip(), "made by the agent")
        with check(f"{name}: has hooks"):
            told = ada.parler("connect", "--hooks", "--host", wired_as or name)
            equal([(of["part"], of["state"]) for of in told["hosts"]], [("server", "already"), ("hooks", "added")])
        if ends:
            ends(ada, other)
            return
        words, more = command(ada, model)
        words = [*words[:-1], *trusting, words[-1]]
        with check(f"{name}: goes on where a message has come while it worked"):
            model.begin([("parler_recv", {})], until="call parler_recv", meanwhile=lambda: says(ada, other))
            ada.run(*words, more=more)
            equal(len(model.shown), 1)
            holds(model.shown[0], WORD)
        with check(f"{name}: was told how many and from whom, and no word more"):
            woken = next(body for body in model.asked if "call parler_recv" in body)
            equal(re.findall(r"[0-9]+ new [^\"\\]*call parler_recv", woken)[-1], "1 new message from ada: call parler_recv")
            equal([WORD in body for body in model.asked[:2]], [False, False])
        with check(f"{name}: ends where none has"):
            model.begin([], until="call parler_recv")
            ada.run(*words, more=more)
            equal(len(model.asked), 1)


def says(ada, other):
    """Says something in the other worktree, and waits until it has come for the one in which the agent works."""
    seq = other.parler("send", WORD)["seq"]
    until = time.monotonic() + 60
    while time.monotonic() < until:
        boxes = (ada.home / ".local/share/git-parler/mailbox").glob("*/mail.json")
        if any(entry["seq"] == seq for box in boxes for entry in json.loads(box.read_text())["entries"]):
            return
        time.sleep(0.02)
    raise AssertionError("it has not come into a mailbox")
