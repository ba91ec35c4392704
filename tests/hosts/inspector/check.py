"""The inspector's command line, strict, in both eras: every list without an error or a warning, and calls of three tools."""

import json

from world import INSTALLED, World, check, equal, holds

INSPECTOR = INSTALLED / "node_modules/.bin/mcp-inspector"
TOOLS = ["approve_join", "fetch", "join_session", "open_session", "push", "recv", "send", "status"]


def inspect(person, era, *arguments):
    strict = ["--strict"] if arguments == ("tools/list",) else []
    run = person.run(INSPECTOR, "--cli", "git-parler", "mcp", "--protocol-era", era, "--method", *arguments, *strict)
    # Errors and warnings about schemas, and all else that it has to say against the server, stand here.
    equal(run.stderr, "")
    return json.loads(run.stdout)


with World() as world:
    ada = world.person("ada")
    for era in "modern", "legacy":
        with check(f"inspector {era}: tools/list"):
            listed = inspect(ada, era, "tools/list")
            equal([tool["name"] for tool in listed["tools"]], [f"parler_{name}" for name in TOOLS])
        with check(f"inspector {era}: prompts/list"):
            equal([prompt["name"] for prompt in inspect(ada, era, "prompts/list")["prompts"]], ["join", "share"])
        with check(f"inspector {era}: resources/list"):
            resources = inspect(ada, era, "resources/list")["resources"]
            equal([resource["uri"] for resource in resources], ["parler://session/current"])
        with check(f"inspector {era}: parler_status"):
            status = inspect(ada, era, "tools/call", "--tool-name", "parler_status")
            equal(status["structuredContent"]["me"]["name"], "ada")
            holds(status["content"][0]["text"], "At home", "this agent: ada")
        with check(f"inspector {era}: parler_push and parler_fetch"):
            ada.commit("file", era.encode(), f"for the {era} era")
            pushed = inspect(ada, era, "tools/call", "--tool-name", "parler_push", "--tool-arg", "base=HEAD~1")
            handoff = pushed["structuredContent"]["id"]
            holds(pushed["content"][0]["text"], handoff[:12])
            fetched = inspect(ada, era, "tools/call", "--tool-name", "parler_fetch", "--tool-arg", f"id={handoff[:12]}")
            equal(fetched["structuredContent"]["id"], handoff)
            holds(fetched["content"][0]["text"], handoff[:12], f"for the {era} era")
