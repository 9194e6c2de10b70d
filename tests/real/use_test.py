#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two processes on one store: one writes, the other is told who that is.

Usage: use_test.py --casebound PROGRAM --maker PROGRAM
"""
import json
import os
import pty
import subprocess
import threading
import time

import command_kit
from command_kit import PASSPHRASE, expect

ADDS = 50


def hold(world, case):
    """A command that has the store open and waits for its input."""
    holder = world.start("hub", "add", "contact", "--case", case, "--about",
                         "victim", "channel=letter", "direction=outgoing",
                         "outcome=message", "summary=-",
                         stdin=subprocess.PIPE)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with open("/proc/locks", encoding="ascii") as locks:
            if any(f" {holder.pid} " in line for line in locks):
                return holder
        time.sleep(0.01)
    raise command_kit.Skip("/proc/locks does not tell who has locks")


def the_holder_is_named(world):
    case = world.service()
    holder = hold(world, case)
    begin = time.monotonic()
    done = world("hub", "case", "new", "received=today", "source=self_victim",
                 "stage=historic", "initiated_by=victim", code=18)
    waited = time.monotonic() - begin
    expect(f"in use by process {holder.pid} (casebound add)" in done.err,
           done.err)
    expect("nothing was changed" in done.err, done.err)
    expect(1.9 < waited < 6, "gave up after", waited)
    expect("waiting" not in done.err, "a script needs no such word", done.err)
    error = json.loads(world("hub", "add", "contact", "--case", case,
                             "--json", code=18).err)
    expect(str(holder.pid) in error["what"], error)

    # One that dies holds nothing.
    holder.kill()
    holder.communicate()
    world("hub", "status")


def on_a_terminal_it_says_that_it_waits(world):
    case = world.service()
    holder = hold(world, case)
    master, slave = pty.openpty()
    waits = world.start("hub", "add", "contact", "--case", case, "--about",
                        "victim", "channel=letter", "direction=outgoing",
                        "outcome=message", stderr=slave)
    os.close(slave)
    said = b""
    while b"which uses the store" not in said:
        said += os.read(master, 4096)
    expect(f"waiting for process {holder.pid} (casebound add)" in
           said.decode(), said)
    holder.communicate(b"Quillfeather\n", timeout=20)
    waits.communicate(timeout=20)
    os.close(master)
    expect(holder.returncode == 0 and waits.returncode == 0,
           holder.returncode, waits.returncode)
    shown = world("hub", "case", "timeline", case, "--json").out
    expect(shown.count('"type": "contact"') == 2, shown)


def of_two_at_the_same_moment_each_is_told_the_truth(world):
    case = world.service()
    recorded = []
    refused = []
    wrong = []

    def add(minutes):
        with world.start("hub", "add", "contact", "--case", case, "--about",
                         "victim", "channel=letter", "direction=outgoing",
                         "outcome=message", f"minutes={minutes}") as process:
            out, err = process.communicate(timeout=60)
        if process.returncode == 0:
            recorded.append(out.decode().strip())
        elif process.returncode == 18 and b"in use by" in err:
            refused.append(minutes)
        else:
            wrong.append((process.returncode, err))

    for i in range(ADDS):
        pair = [threading.Thread(target=add, args=(2 * i + k,))
                for k in range(2)]
        for one in pair:
            one.start()
        for one in pair:
            one.join()
    expect(not wrong, wrong)
    expect(len(set(recorded)) == len(recorded), "an id was given twice")
    document = json.loads(world("hub", "case", "timeline", case,
                                "--json").out)
    text = json.dumps(document)
    found = text.count('"type": "contact"')
    expect(found == len(recorded), found, "are there,", len(recorded),
           "were recorded")
    expect(len(recorded) >= ADDS, len(recorded), "recorded")
    print(f"       {len(recorded)} recorded, {len(refused)} told that the "
          f"store is in use; {found} found")


if __name__ == "__main__":
    command_kit.main([
        the_holder_is_named,
        on_a_terminal_it_says_that_it_waits,
        of_two_at_the_same_moment_each_is_told_the_truth,
    ])
