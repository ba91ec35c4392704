"""The protocol's conformance suite, on a build that serves HTTP: the scenarios that need none of the suite's own tools."""

import re
import socket
import subprocess
import time

from world import INSTALLED, PROGRAM, World, check, holds

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
# Of one scenario, four checks are about tools of the suite's own: "Not testable: server does not list the diagnostic tool".
ENDS = {"server-stateless": "24 passed, 4 failed"}

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
            said = ada.run(SUITE, "server", "--url", f"http://{address}/mcp", *which, must=False, timeout=200).stdout
            results = dict(re.findall(r"^. ([\w-]+): (\d+ passed, \d+ failed)", said.partition("=== SUMMARY ===")[2], re.MULTILINE))
            for scenario in needed:
                with check(f"conformance {revision}: {scenario}"):
                    holds(results.get(scenario, f"not run: {said[-500:]}"), ENDS.get(scenario, " passed, 0 failed"))
        server.terminate()
