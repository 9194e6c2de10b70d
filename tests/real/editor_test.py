#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Long text through an editor: real ones, and scripts that do what editors do.

Usage: editor_test.py --casebound PROGRAM --maker PROGRAM

After each scene every file of the home, the stores and the temporary folders is
searched for the text, and so are the places where editors leave things.
"""
import os
import shutil
import signal
import time

import command_kit
from command_kit import PASSPHRASE, Skip, expect

CANARY = "Quillfeather"
CONTACT = ("channel=letter", "direction=outgoing", "outcome=message")


class Scene:
    """A store with a case, a memory folder, and the search at the end."""

    def __init__(self, world):
        self.world = world
        self.begin = time.time() - 1
        self.case = world.service()
        self.runtime = command_kit.memory_folder()
        world.environment["XDG_RUNTIME_DIR"] = self.runtime

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        left = os.listdir(self.runtime)
        shutil.rmtree(self.runtime)
        if os.path.exists(self.runtime + "-editor"):
            os.unlink(self.runtime + "-editor")
        if kind is None:
            expect(not left, "left in memory:", left)
            self.search()

    def search(self):
        """No file anywhere an editor could have written to holds the text."""
        found = []
        for top in (self.world.root, "/var/tmp", "/tmp", "/dev/shm",
                    os.path.expanduser("~")):
            for folder, folders, names in os.walk(top):
                if top != self.world.root:
                    folders[:] = [name for name in folders
                                  if is_younger(os.path.join(folder, name),
                                                self.begin)
                                  and not name.startswith("casebound-")]
                for name in names:
                    path = os.path.join(folder, name)
                    if (top == self.world.root or
                            is_younger(path, self.begin)) and holds(path):
                        found.append(path)
        expect(not found, "the text lies in", found)

    def script(self, text):
        """A program of the test's own, outside of what is searched."""
        path = self.runtime + "-editor"
        with open(path, "w", encoding="utf-8") as file:
            file.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o700)
        return path

    def add(self, editor, *more):
        return self.world.terminal(
            "hub", "add", "contact", "--case", self.case, "--about", "victim",
            *CONTACT, "--edit", "summary", *more, secret=PASSPHRASE,
            environment={"VISUAL": editor})


def is_younger(path, moment):
    try:
        return os.lstat(path).st_mtime >= moment
    except OSError:
        return False


def holds(path):
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > 1 << 26:
            return False
        with open(path, "rb") as file:
            return CANARY.encode() in file.read()
    except OSError:
        return False


def recorded(scene, wanted=1):
    text = scene.world("hub", "case", "timeline", scene.case, "--json").out
    expect(text.count('"type": "contact"') == wanted, text)


# Each types the text, saves, and leaves.
REAL = (
    ("vim.tiny", "i", CANARY + " spoke", "\x1b:wq\r"),
    ("vim", "i", CANARY + " spoke", "\x1b:wq\r"),
    ("nvim", "i", CANARY + " spoke", "\x1b:wq\r"),
    ("nvi", "i", CANARY + " spoke", "\x1b:wq\r"),
    ("nano", "", CANARY + " spoke", "\x0f\r\x18"),
    ("emacs", "", CANARY + " spoke", "\x18\x13\x18\x03"),
    ("mg", "", CANARY + " spoke\r", "\x18\x13\x18\x03"),
    ("joe", "", CANARY + " spoke", "\x0bx"),
    ("ed", "a\n", CANARY + " spoke", "\n.\nw\nq\n"),
)


def the_editors_of_debian_leave_nothing(world):
    tried = []
    with Scene(world) as scene:
        for editor, begin, text, end in REAL:
            if shutil.which(editor) is None:
                continue
            terminal = scene.add(editor)
            time.sleep(0.7)  # until it has drawn its screen
            for keys in (begin, text, end):
                terminal.type(keys)
                time.sleep(0.2)
            try:
                terminal.end()
            except command_kit.Failure as error:
                raise command_kit.Failure(f"{editor}: {error}") from error
            tried.append(editor)
            recorded(scene, len(tried))
        expect(tried, "there is no editor at all")
        print("       tried:", ", ".join(tried))


def one_that_saves_by_rename_is_read(world):
    with Scene(world) as scene:
        editor = scene.script(
            'for file; do :; done\n'
            f'printf "{CANARY} one\\n\\n{CANARY} two\\n" >"$file.new"\n'
            'cp "$file" "$file~"; echo junk >"$HOME/.history"\n'
            'mkdir -p "$XDG_STATE_HOME/editor/undo"\n'
            f'echo {CANARY} >"$XDG_STATE_HOME/editor/undo/file"\n'
            f'echo {CANARY} >"$TMPDIR/swap"; echo {CANARY} >here\n'
            'mv "$file.new" "$file"\n')
        shown = scene.add(editor).end()
        id = command_kit.short_id(shown.replace("\r", ""))
        text = world("hub", "show", id).out
        expect(f"{CANARY} one" in text and f"{CANARY} two" in text, text)


def what_it_is_given_leads_nowhere_else(world):
    with Scene(world) as scene:
        editor = scene.script(
            'for file; do :; done\n'
            '{ env; echo "cwd=$(pwd)"; ls -l /proc/self/fd; ulimit -c; '
            'grep -i dump /proc/self/status; } >"$file"\n')
        world.environment.update(
            {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/bus", "VIMINIT": "x",
             "XDG_STATE_HOME": world.home})
        shown = scene.add(editor).end().replace("\r", "")
        text = world("hub", "show", command_kit.short_id(shown)).out
        memory = os.path.join(scene.runtime, "casebound-text-")
        for name in ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME",
                     "XDG_RUNTIME_DIR", "cwd"):
            expect(f"{name}={memory}" in text, name, text)
        for name in ("DBUS_", "VIMINIT", "CASEBOUND", PASSPHRASE, world.home,
                     "casebook.db", "pipe:"):
            expect(name not in text, name, text)


def amending_begins_with_the_text_in_force(world):
    with Scene(world) as scene:
        id = world("hub", "add", "contact", "--case", scene.case, "--about",
                   "victim", *CONTACT, "summary=-",
                   text=f"{CANARY} first").out.strip()
        editor = scene.script('for file; do :; done\n'
                              'sed "s/first/second/" "$file" >"$file.x"\n'
                              'mv "$file.x" "$file"\n')

        def amend(wanted=0):
            terminal = world.terminal(
                "hub", "amend", id, "--edit", "summary", "--why", "wrong word",
                secret=PASSPHRASE, environment={"EDITOR": editor})
            return terminal.end(code=wanted)

        amend()
        expect(f"{CANARY} second" in world("hub", "show", id).out)
        expect("was not changed" in amend(wanted=2))


def an_editor_that_fails_records_nothing(world):
    with Scene(world) as scene:
        for text, words in (("exit 3\n", "ended with 3"),
                            ("kill -SEGV $$\n", "ended by signal 11"),
                            ('for file; do :; done\nrm "$file"\n', "is empty"),
                            ('for file; do :; done\necho " " >"$file"\n',
                             "is empty"),
                            ('for file; do :; done\nrm "$file"\n'
                             'ln -s /etc/hostname "$file"\n', "no plain file"),
                            ("exit 0\n", "is empty")):
            editor = scene.script(text)
            shown = scene.add(editor).end(
                code=1 if "ended" in words else 2)
            expect(words in shown and "nothing was recorded" in shown, shown)
            expect(not [name for name in os.listdir(scene.runtime)
                        if name.startswith("casebound-")], "left", words)
        recorded(scene, 0)


def a_text_that_was_not_recorded_is_offered_again(world):
    with Scene(world) as scene:
        editor = scene.script('for file; do :; done\n'
                              f'echo {CANARY} in vain >"$file"\n')
        event = ("add", "event", "--case", scene.case,
                 "method=face_to_face", "held=held", "participants=victim",
                 "--edit", "notes")
        terminal = world.terminal("hub", *event, secret=PASSPHRASE,
                                  environment={"EDITOR": editor})
        shown = terminal.end(code=19).replace("\r\n", "")
        expect("it is kept in memory" in shown, shown)
        left = [name for name in os.listdir(scene.runtime)
                if name.startswith("casebound-text-")]
        expect(len(left) == 1 and os.stat(os.path.join(
            scene.runtime, left[0])).st_mode & 0o777 == 0o700, left)

        # Not for another field or case, and not where nobody wants it.
        terminal = world.terminal(
            "hub", "add", "contact", "--case", scene.case, "--about",
            "victim", *CONTACT, "--edit", "summary", secret=PASSPHRASE,
            environment={"EDITOR": "/bin/true"})
        shown = terminal.end(code=2)
        expect("Go on with it?" not in shown, shown)
        terminal = world.terminal("hub", *event, secret=PASSPHRASE,
                                  environment={"EDITOR": "/bin/true"})
        terminal.wait_for("Go on with it?")
        terminal.type("n\n")
        expect("it stays in" in terminal.end(code=2))

        # Emptied, it is given up.
        editor = scene.script('for file; do :; done\n: >"$file"\n')
        terminal = world.terminal("hub", *event, secret=PASSPHRASE,
                                  environment={"EDITOR": editor})
        terminal.wait_for("Go on with it?")
        terminal.type("y\n")
        terminal.end(code=2)


def a_text_outlives_the_command_but_not_the_memory(world):
    """kill -9, SIGTERM and a closed terminal, with the editor open."""
    with Scene(world) as scene:
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP):
            # Only a closed terminal takes an editor with it that does not mind.
            hang_up = "HUP" if number == signal.SIGKILL else "INT"
            editor = scene.script('for file; do :; done\n'
                                  f'echo {CANARY} {int(number)} >"$file"\n'
                                  f'trap "" {hang_up}\n'
                                  'echo saved; exec sleep 60\n')
            terminal = scene.add(editor)
            terminal.wait_for("saved")
            os.kill(terminal.process, number)
            if number == signal.SIGKILL:
                # The editor lives on, and works on its text alone.
                os.waitpid(terminal.process, 0)
                other = scene.add("/bin/true")
                shown = other.end(code=2)
                expect("Go on with it?" not in shown, shown)
                end_sleepers(scene)
                os.close(terminal.master)
            elif number == signal.SIGTERM:
                shown = terminal.end(code=130)
                expect("kept in memory" in shown.replace("\r\n", ""), shown)
            else:
                os.close(terminal.master)
                os.waitpid(terminal.process, 0)
                time.sleep(0.5)
            again = scene.add("/bin/true")
            again.wait_for("Go on with it?")
            again.type("y\n")
            shown = again.end().replace("\r", "")
            text = world("hub", "show", command_kit.short_id(shown)).out
            expect(f"{CANARY} {int(number)}" in text, text)


def end_sleepers(scene):
    """Ends the editor that outlived its command, by its working folder."""
    for process in os.listdir("/proc"):
        try:
            place = os.readlink(f"/proc/{process}/cwd")
        except OSError:
            continue
        if process.isdigit() and place.startswith(scene.runtime):
            os.kill(int(process), signal.SIGKILL)
    time.sleep(0.3)


def one_that_is_too_long_is_given_back(world):
    with Scene(world) as scene:
        state = scene.script("") + ".state"
        editor = scene.script(
            'for file; do :; done\n'
            f'if [ -e {state} ]; then rm {state}; exec sed -i 10q "$file"; fi\n'
            f': >{state}; yes {CANARY} | head -3000 >"$file"\n')
        terminal = scene.add(editor)
        terminal.wait_for("longer than 32768 bytes")
        terminal.wait_for("Edit it again?")
        terminal.type("y\n")
        terminal.end()
        recorded(scene, 1)

        terminal = scene.add(editor)
        terminal.wait_for("Edit it again?")
        terminal.type("n\n")
        shown = terminal.end(code=2)
        expect("kept in memory" in shown.replace("\r\n", ""), shown)
        os.unlink(state)
        terminal = scene.add(scene.script('for f; do :; done; : >"$f"\n'))
        terminal.wait_for("Go on with it?")
        terminal.type("y\n")
        terminal.end(code=2)


def field_by_field_the_editor_can_be_had_too(world):
    with Scene(world) as scene:
        editor = scene.script('for file; do :; done\n'
                              f'echo {CANARY} asked >"$file"\n')
        terminal = world.terminal(
            "hub", "add", "contact", "--case", scene.case, "--about",
            "victim", secret=PASSPHRASE, environment={"EDITOR": editor})
        for question, answer in (("Channel", "letter"),
                                 ("Direction", "outgoing"),
                                 ("Outcome", "message"), ("minutes", ""),
                                 ("By (", ""), ("Route", ""),
                                 ("@ for the editor", "@"),
                                 ("Next step", ".")):
            terminal.wait_for(question)
            terminal.wait_for("):")
            terminal.type(answer + "\n")
        shown = terminal.end().replace("\r", "")
        text = world("hub", "show", command_kit.short_id(shown)).out
        expect(f"{CANARY} asked" in text, text)


def without_a_person_there_is_no_editor(world):
    with Scene(world) as scene:
        words = ("add", "contact", "--case", scene.case, "--about", "victim",
                 *CONTACT, "--edit", "summary")
        done = world("hub", *words, "--no-input", code=2)
        expect("--no-input was given" in done.err and "FIELD=-" in done.err,
               done.err)
        process = world.start("hub", *words, start_new_session=True)
        err = process.communicate(timeout=20)[1].decode()
        expect(process.returncode == 2 and "there is no terminal" in err, err)
        for field, reason in (("minutes", "no long text"),
                              ("sumary", "did you mean"),
                              ("summary", "there is no editor")):
            terminal = world.terminal("hub", *words[:-1], field,
                                      secret=PASSPHRASE, environment={
                                          "EDITOR": "/nonexistent/editor"})
            shown = terminal.end(code=2)
            expect(reason in shown, shown)
        recorded(scene, 0)


if __name__ == "__main__":
    command_kit.main([
        the_editors_of_debian_leave_nothing,
        one_that_saves_by_rename_is_read,
        what_it_is_given_leads_nowhere_else,
        amending_begins_with_the_text_in_force,
        an_editor_that_fails_records_nothing,
        a_text_that_was_not_recorded_is_offered_again,
        a_text_outlives_the_command_but_not_the_memory,
        one_that_is_too_long_is_given_back,
        field_by_field_the_editor_can_be_had_too,
        without_a_person_there_is_no_editor,
    ])
