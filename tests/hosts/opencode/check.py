"""OpenCode, logged out: `opencode mcp list`, and a turn of its model by way of `opencode run`."""

import json
import re

from scenario import host
from world import INSTALLED, holds


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


# Its plugins it runs once it has loaded more of itself from the network, and `opencode run` ends before one can say something.
host("opencode", prepare, connected, command, runs_hooks=False)
