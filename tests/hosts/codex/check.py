"""Codex, logged out: its app-server lists the tools, and a turn of its model by way of `codex exec`."""

import json
import subprocess

from scenario import host
from world import INSTALLED, equal

MODEL = """model = "fake"
model_provider = "fake"

[model_providers.fake]
name = "fake"
base_url = "{url}/v1"
wire_api = "responses"
"""


def prepare(person, model):
    (person.home / ".codex").mkdir()
    (person.home / ".codex/config.toml").write_text(MODEL.format(url=model.url))


def connected(person):
    words = [INSTALLED / "node_modules/.bin/codex", "app-server"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(words, env=person.env, cwd=person.repo, text=True, **streams) as server:
        ask(server, id=1, method="initialize", params={"clientInfo": {"name": "test", "version": "1"}, "capabilities": {}})
        ask(server, method="initialized")
        listed = ask(server, id=2, method="mcpServerStatus/list", params={})["data"]
        server.terminate()
    parler = next(row for row in listed if row["name"] == "parler")
    equal((len(parler["tools"]), parler["toolsError"]), (8, None))


def ask(server, **request):
    print(json.dumps(request), file=server.stdin, flush=True)
    while "id" in request:
        answer = json.loads(server.stdout.readline())
        if answer.get("id") == request["id"]:
            return answer["result"]


def command(_person, _model):
    # Nobody is there to be asked before something is sent to others.
    approved = 'mcp_servers.parler.default_tools_approval_mode="approve"'
    return ["codex", "exec", "-c", approved, "what is new?"], {}


# It passes over hooks that nobody has trusted by hand.
host("codex", prepare, connected, command, trusting=["--dangerously-bypass-hook-trust"])
