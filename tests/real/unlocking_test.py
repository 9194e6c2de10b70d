#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ways into a store: on a small machine, from paper, with another master key.

Usage: unlocking_test.py --casebound PROGRAM --maker PROGRAM
"""
import os
import re
import resource
import subprocess

import command_kit
from command_kit import PASSPHRASE, Skip, expect

MIB = 1048576
KEY = re.compile(r"^ +((?:[0-9A-Z]{5}-){3}[0-9A-Z]{5})\r?$", re.M)


def within(world, mebibytes, store, *words, code=0, secret=PASSPHRASE):
    """Runs the command where there is only so much memory to be had."""
    with open(world.programs["casebound"], "rb") as program:
        if b"__asan_init" in program.read():
            raise Skip("a sanitizer needs more address space than that")

    def limit():
        resource.setrlimit(resource.RLIMIT_AS,
                           (mebibytes * MIB, mebibytes * MIB))
    process = world.start(store, *words, secret=secret, preexec_fn=limit)
    out, err = process.communicate(timeout=120)
    expect(process.returncode == code, *words, "ended with",
           process.returncode, "not", code, out, err)
    return out.decode(), err.decode()


def paper_of(text):
    halves = KEY.findall(text)
    expect(len(halves) == 2, "no recovery key in", repr(text))
    return "-".join(halves)


def a_small_machine_makes_a_store_that_it_can_open(world):
    _, err = within(world, 150, "small", "init")
    expect("64 MiB and 12 passes" in err, err)
    out, _ = within(world, 150, "small", "status")
    expect("12 passes over 64 MiB" in out, out)

    # Raised where there is more, and lowered again there.
    world("small", "passphrase", "--same", "--cost", "moderate")
    out = world("small", "status").out
    expect("3 passes over 256 MiB" in out, out)
    world("small", "passphrase", "--same", "--cost", "64x12")
    within(world, 150, "small", "status")


def too_little_memory_has_a_way_out(world):
    done = world("large", "init", "--recovery-key", "-o", "-")
    key = paper_of(done.out)
    out = world("large", "status").out
    expect("3 passes over 256 MiB" in out, out)
    _, err = within(world, 150, "large", "status", code=1)
    expect("needs 256 MiB" in err and "--recovery" in err, err)
    within(world, 150, "large", "recovery", "check", secret=key)
    # With the new passphrase it costs what this machine has.
    within(world, 150, "large", "passphrase", "--recovery", "--cost", "64x3",
           secret=key + "\n" + PASSPHRASE)
    out, _ = within(world, 150, "large", "status")
    expect("3 passes over 64 MiB" in out, out)


def the_paper_is_written_once_and_read_without_echo(world):
    world.make("a", "init")
    shown = world.terminal("a", "recovery", "new", secret=PASSPHRASE).end()
    key = paper_of(shown)
    expect("not with the laptop" in shown, shown)

    asked = world.terminal("a", "recovery", "check")
    asked.wait_for("Recovery key: ")
    expect(not asked.echoes(), "the key would stay on the screen")
    asked.type(key.lower().replace("-", " ") + "\n")
    said = asked.end()
    expect("that is the recovery key" in said and key not in said, said)

    # Groups two and eight, by neighbours that changed places.
    groups = key.split("-")
    for i in (1, 7):
        at = next(j for j in range(4) if groups[i][j] != groups[i][j + 1])
        groups[i] = (groups[i][:at] + groups[i][at + 1] + groups[i][at] +
                     groups[i][at + 2:])
    done = world("a", "recovery", "check", secret="-".join(groups), code=2)
    expect("groups 2, 8 of the recovery key are mistyped" in done.err,
           done.err)


def a_script_gets_no_key_that_it_did_not_ask_for(world):
    world.make("a", "init")
    done = world("a", "recovery", "new", code=2)
    expect(not KEY.search(done.out + done.err), done.out, done.err)
    done = world("a", "recovery", "new", "--json", "-o", "-", code=2)
    expect(not KEY.search(done.out + done.err), done.out, done.err)
    world("a", "recovery", "new", "-o", "paper")
    mode = os.stat(world.path("paper")).st_mode & 0o777
    expect(mode == 0o600, oct(mode))
    # The one that is full is not used after all.
    if os.path.exists("/dev/full"):
        with open("/dev/full", "wb") as full:
            process = world.start("a", "recovery", "new", "-o", "-",
                                  stdout=full, stderr=subprocess.PIPE)
            err = process.communicate()[1].decode()
        expect(process.returncode == 17 and "not put into use" in err,
               process.returncode, err)
    with open(world.path("paper"), encoding="utf-8") as paper:
        world("a", "recovery", "check", secret=paper_of(paper.read()))


def rotation_asks_first_and_is_nobody_else_s_business(world):
    case = world.service()
    world("hub", "recovery", "new", "-o", "paper")
    asked = world.terminal("hub", "key", "rotate", secret=PASSPHRASE)
    asked.wait_for("will open nothing any more")
    asked.wait_for("[y/N]")
    asked.type("n\n")
    expect("nothing was changed" in asked.end(code=130), asked.shown)

    asked = world.terminal("hub", "key", "rotate", secret=PASSPHRASE)
    asked.wait_for("[y/N]")
    asked.type("y\n")
    key = paper_of(asked.end())
    world("hub", "recovery", "check", secret=key)
    with open(world.path("paper"), encoding="utf-8") as paper:
        world("hub", "recovery", "check", code=13,
              secret=paper_of(paper.read()))
    expect(case in world("hub", "case", "list").out, "the case is gone")

    holder = world.start("hub", "add", "contact", "--case", case, "--about",
                         "victim", "channel=letter", "direction=outgoing",
                         "outcome=message", "summary=-",
                         stdin=subprocess.PIPE)
    try:
        done = world("hub", "key", "rotate", "--yes", "--drop-recovery",
                     code=(0, 18))
        # Which of the two is first, nobody knows.
        expect(done.code == 0 or "in use by process" in done.err, done.err)
    finally:
        holder.communicate(b"spoke at length\n")
    expect(case in world("hub", "case", "list").out, "the case is gone")


def an_interrupted_rotation_leaves_the_store_as_it_was(world):
    world.make("a", "init")
    before = sorted(os.listdir(world.path("a")))
    with open(world.path("a", "unlock.json"), "rb") as file:
        unlock = file.read()
    # No room for a second copy: a file may not be so large.
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (40960, 40960))
    process = world.start("a", "key", "rotate", "--yes", preexec_fn=limit)
    process.communicate(timeout=120)
    expect(process.returncode not in (0, 99), process.returncode)
    world("a", "status")
    expect(sorted(os.listdir(world.path("a"))) == before,
           os.listdir(world.path("a")))
    with open(world.path("a", "unlock.json"), "rb") as file:
        expect(file.read() == unlock, "unlock.json was changed")


if __name__ == "__main__":
    command_kit.main([
        a_small_machine_makes_a_store_that_it_can_open,
        too_little_memory_has_a_way_out,
        the_paper_is_written_once_and_read_without_echo,
        a_script_gets_no_key_that_it_did_not_ask_for,
        rotation_asks_first_and_is_nobody_else_s_business,
        an_interrupted_rotation_leaves_the_store_as_it_was,
    ])
