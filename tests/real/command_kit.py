# SPDX-License-Identifier: Apache-2.0
"""The real command in a world of its own: a home, stores, a terminal.

A program of tests hands its functions to main(), which calls each with a fresh
World and ends with "N passed, N failed".  A function whose machine cannot show
something raises Skip.

Stores are made by the same command with the least costly passphrase, because
the costly one is half a second for every command; all else is the real one.
"""
import argparse
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import traceback

PASSPHRASE = "lantern copper seven meadow"
ANSWER_S = 20


class Skip(Exception):
    """What is missing here, in a few words."""


class Failure(Exception):
    pass


def expect(condition, *words):
    if not condition:
        raise Failure(" ".join(str(word) for word in words))


class Done:
    """How a command ended."""

    def __init__(self, code, out, err):
        self.code = code
        self.out = out
        self.err = err


class World:
    def __init__(self, programs, root):
        self.programs = programs
        self.root = root
        self.home = os.path.join(root, "home")
        self.temporary = os.path.join(root, "tmp")
        self.runtime = ""
        for folder in (self.home, self.temporary):
            os.mkdir(folder, 0o700)
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": self.home,
            "TMPDIR": self.temporary, "TZ": "UTC", "LC_ALL": "C.UTF-8",
            "TERM": "xterm", "LINES": "24", "COLUMNS": "80"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]
        self.said = []

    def path(self, *names):
        return os.path.join(self.root, *names)

    def _start(self, program, words, secret, **more):
        """Starts it with the passphrase on a descriptor of its own."""
        read_end, write_end = os.pipe()
        os.write(write_end, (secret + "\n").encode())
        os.close(write_end)
        environment = dict(self.environment)
        environment.update(more.pop("environment", {}))
        command = [program, *words, "--passphrase-fd", str(read_end)]
        process = subprocess.Popen(
            command, env=environment, cwd=self.root, pass_fds=[read_end],
            stdin=more.pop("stdin", subprocess.DEVNULL),
            stdout=more.pop("stdout", subprocess.PIPE),
            stderr=more.pop("stderr", subprocess.PIPE), **more)
        os.close(read_end)
        return process

    def start(self, store, *words, secret=PASSPHRASE, **more):
        """Starts the command; its first word is the command's name."""
        environment = {"CASEBOUND_STORE": self.path(store)}
        environment.update(more.pop("environment", {}))
        return self._start(self.programs["casebound"], words, secret,
                           environment=environment, **more)

    def __call__(self, store, *words, code=0, secret=PASSPHRASE, text="",
                 environment=None):
        """Runs the command to its end, which has to be `code`."""
        with self.start(store, *words, secret=secret, stdin=subprocess.PIPE,
                        environment=environment or {}) as process:
            out, err = process.communicate(text.encode(), timeout=120)
        self.said.append(out + err)
        done = Done(process.returncode, out.decode(errors="replace"),
                    err.decode(errors="replace"))
        codes = code if isinstance(code, tuple) else (code,)
        expect(done.code in codes, "casebound", *words, "ended with",
               done.code, "not", code, done.out, done.err)
        return done

    def make(self, store, *words):
        """The same command with a cheap passphrase, for init and hub init."""
        environment = {
            "CASEBOUND_TEST_CLOCK": str(int(time.time() * 1000)),
            "CASEBOUND_TEST_SEED": self.path(store),
            "CASEBOUND_STORE": self.path(store)}
        with self._start(self.programs["maker"], words, PASSPHRASE,
                         environment=environment) as process:
            out, err = process.communicate(timeout=120)
        expect(process.returncode == 0, *words, out, err)

    def service(self, store="hub"):
        """A hub's store with one case and the harmed person; its reference."""
        self.make(store, "hub", "init", "--log", self.path("log"), "--name",
                  "Test Service", "--person", "Hub Office")
        case = self(store, "case", "new", "received=2017-02-01",
                    "source=self_victim", "stage=historic",
                    "initiated_by=victim").out.strip()
        self(store, "add", "person", "--case", case, "role=victim")
        return case

    def terminal(self, store, *words, **more):
        return Terminal(self, store, words, **more)


class Terminal:
    """The command on a terminal of its own, typed at by the test."""

    def __init__(self, world, store, words, environment=None, secret=None,
                 program=None):
        self.world = world
        self.shown = ""
        self.code = None
        wanted = dict(world.environment)
        wanted["CASEBOUND_STORE"] = world.path(store)
        wanted.update(environment or {})
        command = [program or world.programs["casebound"], *words]
        read_end = -1
        if secret is not None:
            read_end, write_end = os.pipe()
            os.write(write_end, (secret + "\n").encode())
            os.close(write_end)
            command += ["--passphrase-fd", str(read_end)]
        self.process, self.master = pty.fork()
        if self.process == 0:
            try:
                os.chdir(world.root)
                if read_end >= 0:
                    os.set_inheritable(read_end, True)
                os.execve(command[0], command, wanted)
            finally:
                os._exit(99)
        if read_end >= 0:
            os.close(read_end)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, b"\x18\0\x50\0\0\0\0\0")

    def _read(self, wait_s):
        if not select.select([self.master], [], [], wait_s)[0]:
            return False
        try:
            got = os.read(self.master, 65536)
        except OSError:
            return None
        self.shown += got.decode(errors="replace")
        return True if got else None

    def wait_for(self, words, wait_s=ANSWER_S):
        end = time.monotonic() + wait_s
        while words not in self.shown:
            got = self._read(max(0, end - time.monotonic()))
            expect(got and time.monotonic() < end, f"'{words}' did not come:",
                   repr(self.shown))
        self.shown = self.shown[self.shown.index(words) + len(words):]

    def type(self, text):
        os.write(self.master, text.encode())

    def echoes(self):
        return bool(termios.tcgetattr(self.master)[3] & termios.ECHO)

    def end(self, code=0, wait_s=ANSWER_S):
        """Waits for the end, which has to be `code`; what was shown last."""
        end = time.monotonic() + wait_s
        while self._read(max(0, min(0.2, end - time.monotonic()))) is not None:
            if time.monotonic() > end:
                os.kill(self.process, signal.SIGKILL)
                os.waitpid(self.process, 0)
                raise Failure("it did not end: " + repr(self.shown))
        _, status = os.waitpid(self.process, 0)
        os.close(self.master)
        self.code = os.waitstatus_to_exitcode(status)
        self.world.said.append(self.shown.encode())
        expect(self.code == code, "ended with", self.code, "not", code,
               repr(self.shown))
        return self.shown


def memory_folder():
    """A folder in memory, to be given as XDG_RUNTIME_DIR, or Skip."""
    try:
        return tempfile.mkdtemp(prefix="casebound-test-", dir="/dev/shm")
    except OSError as error:
        raise Skip("there is no /dev/shm to write to") from error


def read_of_process(process, name):
    """What /proc tells of it; nothing where even we may not look in."""
    try:
        with open(f"/proc/{process}/{name}", "rb") as file:
            return file.read()
    except PermissionError:
        return b""


def short_id(text):
    match = re.search(r"^[0-9a-f]{8}$", text, re.M)
    expect(match, "no id in", text)
    return match.group(0)


def main(tests):
    parser = argparse.ArgumentParser()
    parser.add_argument("--casebound", required=True)
    parser.add_argument("--maker", required=True)
    parser.add_argument("--keys")
    parser.add_argument("--only", default="")
    arguments = parser.parse_args()
    programs = {name: value for name, value in vars(arguments).items()
                if value and name != "only"}
    passed = failed = 0
    for test in tests:
        if arguments.only not in test.__name__:
            continue
        name = test.__name__.replace("_", " ")
        root = tempfile.mkdtemp(prefix="casebound-real-")
        begin = time.monotonic()
        try:
            test(World(programs, root))
            passed += 1
            print(f"ok     {name} ({time.monotonic() - begin:.1f} s)")
        except Skip as reason:
            print(f"skipped: {name}: {reason}")
        except Exception as error:  # whatever it is, the next test runs
            failed += 1
            print(f"FAILED {name}: {error}")
            if not isinstance(error, Failure):
                traceback.print_exc(file=sys.stdout)
        finally:
            shutil.rmtree(root, ignore_errors=True)
        sys.stdout.flush()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)
