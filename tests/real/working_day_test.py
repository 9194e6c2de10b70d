#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A working day through the real command; then every byte that it left on the
disk is searched for what was written, and for keys.

Usage: working_day_test.py --casebound PROGRAM --maker PROGRAM --keys PROGRAM

The day: a hub and two devices that join, a case with every text field of every
type filled, notes through the input and an editor, a conflict and its decision,
syncs and merges, commands that are killed with the store open, a recovery key,
another passphrase and master key, doctor, a backup and its restoration, a folder
that was put back.

Searched are the stores, the log, the home with what the command keeps there,
the temporary folders and the memory of editors; not the requests and admissions
that people carry, which name them on purpose.  Texts and keys are looked for as
they are, wide, as hexadecimal and as base64 at each alignment, and so is the
content of every Git object.
"""
import base64
import json
import os
import re
import shutil
import signal
import subprocess
import time

import command_kit
from command_kit import PASSPHRASE, expect

STEM = "Quillfeather"
SERVICE = "Canarytown Restore"
OFFICE = "Nightjar Office"
PEOPLE = {"anna": "Anna Goldcrest", "bert": "Bert Siskin"}
NEW_PASSPHRASE = "a heron stands quite still"
WORDS = [STEM, STEM.upper(), SERVICE, OFFICE, *PEOPLE.values(), "RL-20", "0207 946 0199", "SQLite format 3",
         "CREATE TABLE", "casebook.entry", "direct_meeting",
         "post_sentence_custody"]


def forms_of(raw):
    """The ways in which bytes are written down by programs."""
    yield raw
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for shift in range(3):
        # What lies before decides which of three texts it becomes; the
        # characters at both ends depend on the neighbours.
        text = base64.b64encode(b"\0" * shift + raw)
        start = (0, 2, 3)[shift]
        end = len(text) - (4 if (shift + len(raw)) % 3 else 0)
        yield text[start:end]
        yield text[start:end].translate(bytes.maketrans(b"+/", b"-_"))


def needles_of(words, keys):
    needles = {}
    for word in words:
        raw = word.encode()
        wide = word.encode("utf-16-le")
        for form in (*forms_of(raw), wide, word.encode("utf-16-be"),
                     wide.hex().encode()):
            needles[form] = word
    for key in keys:
        for form in forms_of(key):
            needles[form] = "a key"
    return {form: word for form, word in needles.items() if len(form) >= 5}


class Search:
    def __init__(self, needles):
        self.needles = needles
        self.files = 0
        self.objects = 0
        self.bytes = 0
        self.found = []

    def look(self, where, content):
        self.bytes += len(content)
        for form, word in self.needles.items():
            if form in content:
                self.found.append(f"{word} in {where}")

    def tree(self, top, leave_out):
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders
                          if os.path.join(folder, name) not in leave_out]
            if "objects" in folders and "HEAD" in names:
                self.git(folder)
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        self.look(path, file.read())
                    self.files += 1

    def git(self, folder):
        """What is in the objects, which lie compressed in the files."""
        environment = dict(os.environ, GIT_DIR=folder)
        listed = subprocess.run(
            ["git", "cat-file", "--batch-all-objects", "--batch"],
            env=environment, check=True, stdout=subprocess.PIPE).stdout
        self.objects += len(re.findall(
            rb"^[0-9a-f]{40} (?:commit|tree|blob|tag) \d+$", listed, re.M))
        self.look(folder + " (objects)", listed)


def keys_of(world, store, passphrase):
    done = subprocess.run([world.programs["keys"], world.path(store)],
                          input=passphrase + "\n", text=True, check=True,
                          stdout=subprocess.PIPE)
    keys = [bytes.fromhex(line) for line in done.stdout.split() if line]
    expect(len(keys) >= 4, "no keys of", store)
    # Of a signing key the second half is public.
    return [key[:32] for key in keys]


class Day:
    def __init__(self, world):
        self.world = world
        self.keys = set()
        self.secrets = [PASSPHRASE, NEW_PASSPHRASE]
        self.outputs = []
        self.carried = world.path("carried")
        os.mkdir(self.carried)
        self.runtime = command_kit.memory_folder()
        world.environment["XDG_RUNTIME_DIR"] = self.runtime
        self.case = ""
        self.filled = 0

    def search(self, when, more=()):
        world = self.world
        words = WORDS + self.secrets + list(more)
        search = Search(needles_of(words, self.keys))
        search.tree(world.root, {self.carried})
        search.tree(self.runtime, set())
        expect(not search.found, when, search.found)
        print(f"       {when}: {search.files} files and {search.objects} Git "
              f"objects, {search.bytes} bytes, {len(search.needles)} forms of "
              f"{len(words)} texts and {len(self.keys)} keys: nothing found")
        expect(search.files > 20 and search.bytes > 1 << 20, "too little")

    def learn_keys(self, **passphrases):
        for store, passphrase in passphrases.items():
            self.keys.update(keys_of(self.world, store, passphrase))

    def verbose(self, store, *words, code=(0, 3), secret=PASSPHRASE):
        """What is told about the work must hold none of it."""
        done = self.world(store, *words, "-v", code=code, secret=secret)
        self.outputs.append(done.out + done.err)
        return done

    def found_service(self):
        world = self.world
        world.make("hub", "hub", "init", "--log", world.path("log"), "--name",
                   SERVICE, "--person", OFFICE)
        for store, name in PEOPLE.items():
            world.make(store, "init")
            request = os.path.join(self.carried, store + ".request")
            admission = os.path.join(self.carried, store + ".admission")
            world(store, "enrol", "request", "-o", request)
            asked = json.loads(world(store, "enrol", "request",
                                     "--json").out)
            world("hub", "hub", "enrol", request, "--name", name, "--role",
                  "facilitator", "--fingerprint", asked["fingerprint"], "-o",
                  admission)
            world(store, "join", admission, "--yes")
            world(store, "sync", code=(0, 3))
        self.case = world(
            "hub", "case", "new", "received=2017-02-01", "source=self_victim",
            "stage=post_sentence_custody", "initiated_by=victim").out.strip()
        for name in PEOPLE.values():
            world("hub", "hub", "grant", self.case, name)
        self.exchange()

    def exchange(self):
        for _ in range(2):
            for store in PEOPLE:
                self.verbose(store, "sync")
            self.verbose("hub", "hub", "merge")
        for store in PEOPLE:
            self.verbose(store, "sync")

    def fields_of(self, kind):
        """One value for each text of the type, and for what it needs."""
        document = json.loads(self.world("anna", "types", kind,
                                         "--json").out)
        texts, needed = [], []
        for field in document["fields"]:
            name, what = field["name"], field["kind"]
            if what in ("text", "line", "lines"):
                texts.append(f"{name}={STEM} of {kind} {name}")
            elif field["required"] and what in ("code", "codes"):
                # A second victim would make "victim" ambiguous.
                one = field["codes"][-1 if kind == "person" else 0]
                needed.append(f"{name}={one['code']}")
            elif field["required"] and what in ("person", "persons"):
                needed.append(f"{name}=victim")
            elif field["required"]:
                needed.append(name + "=" + {
                    "date": "2017-03-01", "when": "2017-03-01 10:00",
                    "yesno": "yes", "integer": "1", "pence": "1",
                    "staff": "me", "staffs": "me"}.get(what, "absent"))
        about = (["--about", "victim"] if document["about"] in
                 ("required", "optional") else [])
        return texts, needed, about

    def record_everything(self):
        world = self.world
        for role in ("victim", "offender"):
            world("anna", "add", "person", "--case", self.case, f"role={role}",
                  f"name={STEM} the {role}", f"crn={STEM}1", code=(0, 2))
        kinds = [one["type"] for one in json.loads(
            world("anna", "types", "--json").out)["types"]]
        for kind in kinds:
            texts, needed, about = self.fields_of(kind)
            for some in (texts, texts[:1], []):
                done = world("anna", "add", kind, "--case", self.case, *needed,
                             *some, *about, "--why", f"{STEM} said so",
                             code=(0, 1, 2, 3, 16, 19))
                if done.code in (0, 3):
                    self.filled += len(some)
                    break
        expect(self.filled >= 25, "only", self.filled, "texts were recorded")

    def write_notes(self):
        world = self.world
        contact = ("add", "contact", "--case", self.case, "--about", "victim",
                   "channel=telephone", "direction=incoming", "outcome=spoke")
        world("anna", *contact, "summary=-",
              text=f"{STEM} rang 0207 946 0199\n" * 50)
        note = self.runtime + "-editor"
        with open(note, "w", encoding="utf-8") as file:
            file.write('#!/bin/sh\nfor file; do :; done\n'
                       f'echo "{STEM} wrote" >"$file.x"; cp "$file.x" '
                       '"$file~"\nmv "$file.x" "$file"\n')
        os.chmod(note, 0o700)
        world.terminal("anna", *contact, "--edit", "summary",
                       secret=PASSPHRASE, environment={"EDITOR": note}).end()
        os.unlink(note)

    def disagree(self):
        """A withdrawal meets a schedule; two devices amend one value."""
        world = self.world
        add = ("add", "--case", self.case)
        for person in ("victim", "offender"):
            world("anna", *add, "consent", "--about", person, "state=given",
                  "scope=approach_other_party,direct_meeting,indirect",
                  f"own_words={STEM} agrees", code=(0, 3))
        risk = command_kit.short_id(world(
            "anna", *add, "risk_assessment", "stage=initial", "overall=M",
            code=(0, 3)).out)
        self.exchange()
        world("anna", "amend", risk, "overall=H", "--why",
              f"{STEM} was seen", code=(0, 3))
        world("bert", "amend", risk, "overall=L", "--why",
              f"{STEM} is calm", code=(0, 3))
        world("anna", *add, "consent", "--about", "victim",
              "scope=direct_meeting", "state=withdrawn",
              f"own_words={STEM} does not", code=(0, 3))
        self.exchange()
        listed = json.loads(world("anna", "conflicts", "--json",
                                  code=(0, 3)).out)
        expect(listed["conflicts"], "nobody disagrees")
        first = listed["conflicts"][0]
        self.decide(first)
        self.exchange()

    def decide(self, conflict):
        name = str(conflict.get("conflict") or conflict.get("id"))
        for choice in ("1", "2"):
            done = self.world("anna", "resolve", name, "--keep", choice,
                              "--why", f"{STEM} was asked", code=(0, 1, 2, 3))
            if done.code in (0, 3):
                return
        raise command_kit.Failure(f"not decided: {done.err} {conflict}")

    def be_killed(self):
        """With the store open, with the log of the database unfinished."""
        world = self.world
        for number in (signal.SIGKILL, signal.SIGQUIT):
            process = world.start(
                "anna", "add", "contact", "--case", self.case, "--about",
                "victim", "channel=telephone", "direction=incoming",
                "outcome=spoke", "summary=-", stdin=subprocess.PIPE)
            process.stdin.write(f"{STEM} began to say".encode())
            process.stdin.flush()
            time.sleep(0.4)
            for name in ("cmdline", "environ"):
                content = command_kit.read_of_process(process.pid, name)
                expect(STEM.encode() not in content and
                       PASSPHRASE.encode() not in content, name)
            self.search("with a command at work")
            process.send_signal(number)
            _, status = os.waitpid(process.pid, 0)
            expect(os.WIFSIGNALED(status), "it ended by itself", status)
            expect(not os.WCOREDUMP(status), "there is a core")
            self.search("after it was killed")
        log = world.path("anna", "casebook.db-wal")
        kills = 0
        while kills < 60 and not (os.path.exists(log) and
                                  os.path.getsize(log) > 4096):
            kills += 1
            words = ("add", "contact", "--case", self.case, "--about",
                     "victim", "channel=letter", "direction=outgoing",
                     "outcome=message", f"next_step={STEM} again")
            process = world.start("anna", *(words if kills % 3 else ("sync",)))
            time.sleep(0.01 * kills)
            process.kill()
            process.communicate()
        self.search(f"after {kills} kills, the log of the database "
                    f"{'' if os.path.exists(log) else 'not '}left open")
        world("anna", "status")
        self.exchange()

    def look_after(self):
        """What the store itself is asked for."""
        world = self.world
        for store in ("hub", *PEOPLE):
            self.verbose(store, "status")
        world("anna", "case", "timeline", self.case)
        self.verbose("hub", "audit", "verify", code=(0, 1, 2, 3))
        world("anna", "status", secret="a wrong passphrase " + STEM, code=13)
        paper = "-".join(re.findall(
            r"(?:[0-9A-Z]{5}-){3}[0-9A-Z]{5}",
            self.quietly("anna", "recovery", "new", "-o", "-")))
        expect(len(paper) == 47, "no recovery key")
        # As it is typed, and each half, however it is cut into groups.
        plain = paper.replace("-", "")
        self.secrets += [paper, paper.lower(), plain, plain[:20], plain[20:]]
        world("anna", "recovery", "check", secret=paper)
        world("anna", "passphrase", "--recovery",
              secret=f"{paper}\n{NEW_PASSPHRASE}")
        world("anna", "status", secret=NEW_PASSPHRASE)
        self.learn_keys(bert=PASSPHRASE, hub=PASSPHRASE, anna=NEW_PASSPHRASE)
        self.verbose("anna", "key", "rotate", "--yes", "--drop-recovery",
                     secret=NEW_PASSPHRASE)
        self.learn_keys(anna=NEW_PASSPHRASE)
        world("anna", "case", "show", self.case, secret=NEW_PASSPHRASE)
        for store, secret in (("hub", PASSPHRASE), ("bert", PASSPHRASE),
                              ("anna", NEW_PASSPHRASE)):
            self.verbose(store, "doctor", secret=secret, code=0)
        backup = world.path("monday.backup")
        self.verbose("anna", "backup", backup, secret=NEW_PASSPHRASE)
        self.verbose("new", "restore", backup, secret=NEW_PASSPHRASE)
        self.verbose("new", "sync", secret=NEW_PASSPHRASE)
        shutil.copytree(world.path("bert"), world.path("kept"))
        world("bert", "add", "contact", "--case", self.case, "channel=letter",
              "direction=outgoing", "outcome=message")
        shutil.rmtree(world.path("bert"))
        os.rename(world.path("kept"), world.path("bert"))
        older = self.verbose("bert", "status").err
        expect("older copy" in older, older)
        self.verbose("bert", "restore", "--in-place", "--yes")
        self.learn_keys(new=NEW_PASSPHRASE, bert=PASSPHRASE)

    def quietly(self, store, *words):
        """Its output, which is not searched: it is the secret itself."""
        with self.world.start(store, *words) as process:
            out, err = process.communicate(timeout=60)
        expect(process.returncode == 0, *words, err)
        return out.decode()

    def check_words(self):
        """Nothing that was said about the work held any of it, nor keys."""
        search = Search(needles_of([STEM] + self.secrets, self.keys))
        for number, output in enumerate(self.outputs):
            search.look(f"output {number}: {output[:200]}", output.encode())
        expect(not search.found, search.found)
        keys = Search(needles_of(self.secrets, self.keys))
        for number, output in enumerate(self.world.said):
            keys.look(f"output {number}", output)
        expect(not keys.found, keys.found)
        print(f"       {len(self.world.said)} commands, {keys.bytes} bytes of "
              "words: no key, no passphrase")


def the_search_finds_what_is_there(world):
    """In every form; else the other test could not fail."""
    key = bytes(range(200, 232))
    needles = needles_of(WORDS, [key])
    for raw in (STEM.encode(), key):
        for before in (b"", b"a", b"ab", b"abc"):
            for after in (b"", b"x", b"xy"):
                whole = before + raw + after
                for content in (whole, b"\1" + whole.hex().encode(),
                                base64.b64encode(whole),
                                base64.urlsafe_b64encode(whole)):
                    search = Search(needles)
                    search.look("here", content)
                    expect(search.found, "not found in", content)
    for code in ("utf-16-le", "utf-16-be"):
        search = Search(needles)
        search.look("here", ("a " + STEM).encode(code))
        expect(search.found, code)
    repository = world.path("found.git")
    run = {"env": dict(os.environ, GIT_DIR=repository), "check": True}
    subprocess.run(["git", "init", "-q", "--bare", repository], check=True)
    subprocess.run(["git", "hash-object", "-w", "--stdin"], input=b"x" * 4096 +
                   STEM.encode(), stdout=subprocess.DEVNULL, **run)
    search = Search(needles)
    search.tree(world.root, set())
    expect(search.objects == 1 and len(search.found) == 1, search.found)


def nothing_readable_is_left_of_a_working_day(world):
    day = Day(world)
    try:
        day.found_service()
        day.record_everything()
        day.write_notes()
        day.disagree()
        day.learn_keys(hub=PASSPHRASE, anna=PASSPHRASE, bert=PASSPHRASE)
        day.search("after the day's records", [day.case])
        day.be_killed()
        day.look_after()
        day.search("at the end of the day", [day.case])
        day.check_words()
        print(f"       {day.filled} text fields of the case model were filled")
    finally:
        shutil.rmtree(day.runtime)


if __name__ == "__main__":
    command_kit.main([
        the_search_finds_what_is_there,
        nothing_readable_is_left_of_a_working_day,
    ])
