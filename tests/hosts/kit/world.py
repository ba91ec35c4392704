"""The sealed world of a check: people with homes, repositories and hubs of their own in one temporary folder, and how a check says
what came of it."""

import contextlib
import copy
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import traceback

PROGRAM = pathlib.Path(os.environ["GIT_PARLER"])
INSTALLED = pathlib.Path(os.environ["INSTALLED"])


@contextlib.contextmanager
def check(name):
    """Prints `ok` or why what it is about failed, and goes on either way."""
    try:
        yield
        print(f"ok {name}", flush=True)
    except Exception as error:
        for inner in getattr(error, "exceptions", ()):
            error = inner
        place = traceback.extract_tb(error.__traceback__)[-1]
        why = " ".join(str(error).split())[:600] or type(error).__name__
        print(f"FAILED {name}: {why} ({place.filename.rpartition('/')[2]}:{place.lineno})", flush=True)


class World:
    """One temporary folder, and all that was started in it."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="gp", dir="/tmp"))
        self.people, self.hubs = [], []
        (self.root / "bin").mkdir()
        (self.root / "bin/git-parler").symlink_to(PROGRAM)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for listener in self.listeners():
            with contextlib.suppress(ProcessLookupError):
                os.kill(listener, signal.SIGTERM)
        for person in self.people:
            person.parler("hub", "--stop", must=False)
        for hub in self.hubs:
            hub.terminate()
            hub.wait(10)
        shutil.rmtree(self.root, ignore_errors=True)

    def listeners(self):
        """Returns the processes that listen for people's hooks: each would start a hub again that has ended."""
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                is_one = (process / "cmdline").read_bytes().endswith(b"\0hook\0agent\0listen\0")
                if is_one and f"HOME={self.root}/".encode() in (process / "environ").read_bytes():
                    yield int(process.name)

    def hub(self):
        """Starts a hub on loopback, behind a line that takes its time, and returns its URL."""
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        line = socket.create_server(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{line.getsockname()[1]}"
        arguments = ["hub", "--listen", f"127.0.0.1:{port}", "--url", url, "--json"]
        env = self.person(f"hub{len(self.hubs)}").env
        hub = subprocess.Popen([PROGRAM, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.hubs.append(hub)
        threading.Thread(target=relay, args=(line, port), daemon=True).start()
        equal(json.loads(hub.stdout.readline())["url"], url)
        return url

    def person(self, name, hub=None):
        """Makes somebody with a HOME and a repository, who uses `hub` or the local one."""
        person = Person(self, name, hub)
        self.people.append(person)
        return person


def relay(line, port):
    """Passes connections on to `port`, no faster than 16 MiB in a second."""
    chunk = 256 * 1024

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while received := source.recv(chunk):
                sink.sendall(received)
                time.sleep(len(received) / (64 * chunk))
        for end in source, sink:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    while True:
        near, _ = line.accept()
        far = socket.create_connection(("127.0.0.1", port))
        for pair in (near, far), (far, near):
            threading.Thread(target=pump, args=pair, daemon=True).start()


class Person:
    """Somebody with a HOME and a repository with one commit, which is the same for everybody."""

    def __init__(self, world, name, hub=None):
        self.name, self.home, self.repo = name, world.root / name, world.root / name / "app"
        self.repo.mkdir(parents=True)
        # Clients pass HOME on to the server, and little else: all that is parler's lies below it.
        self.env = {
            "HOME": str(self.home),
            "PATH": f"{world.root}/bin:{os.environ['PATH']}",
            "TMPDIR": str(world.root),
            "GIT_CONFIG_NOSYSTEM": "1",
            "LC_ALL": "C.UTF-8",
            "USER": name,
            "LOGNAME": name,
        }
        settings = f"[user]\n\tname = {name}\n\temail = {name}@example.com\n[init]\n\tdefaultBranch = main\n"
        settings += f"[parler]\n\tname = {name}\n" + (f"\thub = {hub}\n" if hub else "")
        (self.home / ".gitconfig").write_text(settings)
        self.git("init", "--quiet")
        date = "1700000000 +0000"
        same = {"GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.com", "GIT_AUTHOR_DATE": date}
        same |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in same.items()}
        self.git("commit", "--quiet", "--allow-empty", "-m", "what everybody has", more=same)

    def worktree(self, name):
        """Makes a worktree beside the repository, of the same user."""
        other = copy.copy(self)
        other.repo = self.repo.parent / name
        self.git("worktree", "add", "--quiet", other.repo)
        return other

    def commit(self, file, content, subject):
        """Commits `content`, and returns the commit's id."""
        (self.repo / file).write_bytes(content)
        self.git("add", file)
        self.git("commit", "--quiet", "-m", subject)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments, more=None):
        """Runs git in the repository and returns what it says."""
        return self.run("git", *arguments, more=more).stdout

    def parler(self, *arguments, must=True):
        """Runs git-parler in the repository and returns its answer."""
        run = self.run("git-parler", "--json", *arguments, must=must)
        return json.loads(run.stdout) if run.stdout.startswith("{") else None

    def run(self, *command, more=None, must=True, timeout=60, **options):
        """Runs a command as this person, by default in the repository."""
        options = {"cwd": self.repo, "stdin": subprocess.DEVNULL, "env": self.env | (more or {})} | options
        command = [str(word) for word in command]
        # Found in the person's PATH, not in that of the test.
        command[0] = shutil.which(command[0], path=options["env"]["PATH"]) or command[0]
        run = subprocess.run(command, capture_output=True, text=True, timeout=timeout, **options)
        if must and run.returncode != 0:
            raise AssertionError(f"{' '.join(command)[:200]} gave {run.returncode}: {run.stdout[-800:]}{run.stderr[-800:]}")
        return run

    def snapshot(self):
        """Returns every byte of the repository, git's own files included."""
        files = sorted(path for path in self.repo.rglob("*") if path.is_file())
        return {str(path.relative_to(self.repo)): path.read_bytes() for path in files}


def equal(got, wanted):
    """Compares the whole."""
    if got != wanted:
        raise AssertionError(f"got {got!r}, wanted {wanted!r}")


def holds(text, *parts):
    """Says which of `parts` a text lacks."""
    lacks = [part for part in parts if part not in text]
    if lacks:
        raise AssertionError(f"{lacks!r} is not in {text[:1200]!r}")


def ids(facts):
    """Returns the ids in an answer as its text has them: of handoffs and commits by their first 12 digits."""
    found = []
    if isinstance(facts, dict):
        for key, value in facts.items():
            is_id = key == "id" and isinstance(value, str) and re.fullmatch("[0-9a-f]{40,64}", value)
            found += [value[:12]] if is_id else ids(value)
    elif isinstance(facts, list):
        for value in facts:
            found += ids(value)
    return found
