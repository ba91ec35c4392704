"""The protocol's conformance suite, on a build that serves HTTP: the scenarios that need none of the suite's own tools."""

import json
import socket
import subprocess
import time

from world import INSTALLED, PROGRAM, World, check, equal

SUITE = INSTALLED / "node_modules/.bin/conformance"
EITHER = ["completion-complete", "tools-list", "server-sse-multiple-streams", "resources-list", "prompts-list",
          "dns-rebinding-protection"]
OLDER = ["server-initialize", "server-session-lifecycle", "ping"]
NEWER = ["caching", "http-header-validation", "sep-2164-resource-not-found", "server-stateless",
         *(f"input-required-result-{kind}"
           for kind in ("missing-input-response", "unsupported-methods", "ignore-extra-params", "validate-input"))]
NEEDED = {
    "2025-11-25": (["--spec-version", "2025-11-25"], EITHER + OLDER),
    "2026-07-28": (["--requirements", "2026-07-28"], EITHER + NEWER),
}
# Of what a scenario checks, this is about tools of the suite's own, `test_missing_capability`, `test_streaming_elicitation` and
# `test_logging_tool`: "Not testable: server does not list the diagnostic tool".
NOT_TESTABLE = {
    "server-stateless": ["sep-2575-http-server-no-independent-requests-on-stream", "sep-2575-missing-capability-http-400",
                         "sep-2575-server-no-log-without-loglevel", "sep-2575-server-rejects-undeclared-capability"],
}


def held(results, scenario):
    """Something passed, and nothing failed but what cannot be tested."""
    found = list(results.glob(f"server-{scenario}-[0-9]*/checks.json"))
    equal(len(found), 1)
    rows = json.loads(found[0].read_text())
    failed = {row["id"]: row.get("errorMessage", "") for row in rows if row["status"] == "FAILURE"}
    expected = NOT_TESTABLE.get(scenario, [])
    if sorted(failed) != expected or not all(why.startswith("Not testable: server does not list") for why in failed.values()):
        raise AssertionError(f"failed: {failed}")
    if not any(row["status"] == "SUCCESS" for row in rows):
        raise AssertionError("nothing was checked")


with World() as world:
    ada = world.person("ada")
    with socket.create_server(("127.0.0.1", 0)) as found:
        address = f"127.0.0.1:{found.getsockname()[1]}"
    with subprocess.Popen([PROGRAM, "mcp"], env=ada.env | {"CONFORMANCE_ADDRESS": address}, cwd=ada.repo) as server:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            try:
                socket.create_connection(address.split(":")).close()
                break
            except OSError:
                time.sleep(0.05)
        for revision, (which, needed) in NEEDED.items():
            results = world.root / revision
            ada.run(SUITE, "server", "--url", f"http://{address}/mcp", "-o", results, *which, must=False, timeout=200)
            for scenario in needed:
                with check(f"conformance {revision}: {scenario}"):
                    held(results, scenario)
        server.terminate()
