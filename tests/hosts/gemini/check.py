"""Gemini CLI, logged out: `gemini mcp list`, and a turn of its model by way of its prompt option."""

import json

from scenario import host
from world import holds


def prepare(person, model):
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
        "telemetry": {"enabled": False},
    }
    person.env |= {"GEMINI_CLI_TRUST_WORKSPACE": "true", "GOOGLE_GEMINI_BASE_URL": model.url, "GEMINI_API_KEY": "fake"}
    (person.home / ".gemini").mkdir()
    (person.home / ".gemini/settings.json").write_text(json.dumps(settings, indent=2))


def connected(person):
    run = person.run("gemini", "mcp", "list")
    holds(run.stdout + run.stderr, "✓ parler: ", "Connected")


def command(_person, _model):
    return ["gemini", "--approval-mode", "yolo", "-m", "gemini-2.5-flash", "-p", "what is new?"], {}


host("gemini", prepare, connected, command)
