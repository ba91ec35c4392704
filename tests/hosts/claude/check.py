"""Claude Code, logged out: `claude mcp list`, and a turn of its model by way of print mode."""

from scenario import host
from world import INSTALLED, holds

QUIET = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_TELEMETRY": "1", "DISABLE_AUTOUPDATER": "1"}


def prepare(person, _model):
    person.env |= QUIET
    # Its package would put the program of this system in its place by a script.
    program = next(INSTALLED.glob("node_modules/@anthropic-ai/claude-code-*/claude"))
    (person.home.parent / "bin/claude").symlink_to(program)


def connected(person):
    holds(person.run("claude", "mcp", "list").stdout, "parler: ", "✔ Connected")


def command(_person, model):
    # Otherwise its model is told one tool, by which it looks for the others.
    more = {"ANTHROPIC_BASE_URL": model.url, "ANTHROPIC_API_KEY": "fake", "ENABLE_TOOL_SEARCH": "false"}
    allowed = ",".join(f"mcp__parler__parler_{tool}" for tool in ("recv", "fetch", "push"))
    return ["claude", "-p", "what is new?", "--allowedTools", allowed, "--model", "claude-fake"], more


host("claude", prepare, connected, command, wired_as="claude-code")
