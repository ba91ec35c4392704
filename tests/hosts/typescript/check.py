"""Both TypeScript clients, the newer one in both eras: lists, calls, and a question to the human."""

import shutil

from world import INSTALLED, World, check

with World() as world:
    hub = world.hub()
    ada = world.person("ada", hub)
    ada.commit("file", b"1", "something to hand over")
    opened = ada.parler("open", "--topic", "talk")
    # Where its packages are, a module finds them.
    client = shutil.copy(f"{__file__.rpartition('/')[0]}/client.mjs", INSTALLED)
    for mode in "v1", "legacy", "auto":
        with check(f"typescript {mode}: ends"):
            bob = world.person(f"bob-{mode}", hub)
            bob.run("git-parler", "join", opened["key"], "--no-wait", must=False)
            words = next(request["words"] for request in ada.parler("requests")["requests"] if request["name"] == bob.name)
            print(ada.run("node", client, mode, words).stdout, end="")
