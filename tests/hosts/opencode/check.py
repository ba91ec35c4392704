"""OpenCode, logged out: `opencode mcp list`, and a turn of its model by way of `opencode run`. Its plugin is run by the runtime within it."""

import json
import pathlib
import re

from scenario import WORD, host, says
from world import INSTALLED, check, equal, holds


def prepare(person, model):
    options = {"baseURL": f"{model.url}/v1", "apiKey": "fake"}
    fake = {"name": "fake", "tool_call": True, "limit": {"context": 100_000, "output": 1000}}
    provider = {"npm": "@ai-sdk/openai-compatible", "name": "Fake", "options": options, "models": {"fake": fake}}
    settings = {"model": "fake/fake", "small_model": "fake/fake", "autoupdate": False, "share": "disabled"}
    person.env |= {"OPENCODE_DISABLE_AUTOUPDATE": "1", "OPENCODE_DISABLE_MODELS_FETCH": "1"}
    # Its package would put the program of this system in its place by a script.
    program = next(INSTALLED.glob("node_modules/opencode-*/bin/opencode"))
    (person.home.parent / "bin/opencode").symlink_to(program)
    (person.home / ".config/opencode").mkdir(parents=True)
    settings |= {"provider": {"fake": provider}}
    (person.home / ".config/opencode/opencode.json").write_text(json.dumps(settings, indent=2))


def connected(person):
    run = person.run("opencode", "mcp", "list")
    holds(re.sub("\x1b\\[[0-9;]*m", "", run.stdout + run.stderr), "✓ parler connected")


def command(_person, _model):
    return ["opencode", "run", "what is new?"], {}


def ends(person, other):
    plugin = person.home / ".config/opencode/plugin/git-parler.js"

    def said(*folder):
        idle = pathlib.Path(__file__).with_name("idle.mjs")
        return json.loads(person.run("opencode", idle, plugin, *folder, more={"BUN_BE_BUN": "1"}).stdout)

    with check("opencode: its plugin says nothing where no message has come"):
        equal(said(person.repo), [])
    with check("opencode: it tells the session once how many and from whom, and no word more"):
        says(person, other)
        equal(said(person.repo), [["session", "1 new message from ada: call parler_recv"]])
        equal(said(person.repo), [])
    with check("opencode: the person receives it"):
        holds(json.dumps(person.parler("recv")), WORD)
    with check("opencode: it says nothing where the program is gone"):
        program = person.home.parent / "bin/git-parler"
        gone = program.rename(program.with_suffix(".gone"))
        try:
            equal(said(person.repo), [])
            equal(said(), [])
        finally:
            gone.rename(program)


# Its plugins it runs once it has loaded more of itself from the network, and `opencode run` ends before one can say something.
host("opencode", prepare, connected, command, ends=ends)
