#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is in the command's memory stays there: no core, nobody looks in.

Usage: memory_test.py --casebound PROGRAM --maker PROGRAM
"""
import os
import resource
import signal
import subprocess
import time

import command_kit
from command_kit import PASSPHRASE, Skip, expect


def facts_of(process):
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":", 1) for line in file)


def at_work(world):
    """The command with the store open; it waits for its input."""
    case = world.service()
    process = world.start("hub", "add", "contact", "--case", case, "--about",
                          "victim", "channel=letter", "direction=outgoing",
                          "outcome=message", "summary=-",
                          stdin=subprocess.PIPE)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with open("/proc/locks", encoding="ascii") as locks:
            if any(f" {process.pid} " in line for line in locks):
                return process
        time.sleep(0.01)
    raise Skip("/proc/locks does not tell who has locks")


def stop(process, number):
    """Ends it by a signal that asks for a core; True where one was made."""
    process.send_signal(number)
    _, status = os.waitpid(process.pid, 0)
    expect(os.WIFSIGNALED(status), "it ended by itself:", status)
    return os.WCOREDUMP(status)


def skip_with_sanitizers(world, why):
    with open(world.programs["casebound"], "rb") as file:
        if b"__asan_init" in file.read():
            raise Skip("with the sanitizer: " + why)


def the_limit_leaves_no_room_for_a_core(world):
    process = at_work(world)
    with open(f"/proc/{process.pid}/limits", encoding="ascii") as file:
        limit = next(line for line in file if "core file" in line)
    expect(limit.split()[4:6] == ["1", "1"], limit)
    expect(not stop(process, signal.SIGQUIT), "there is a core")


def without_the_limit_there_is_no_core_either(world):
    """Cores that go to a program know no limit."""
    skip_with_sanitizers(world, "it has to be able to look in")
    other = subprocess.Popen(["sleep", "60"], cwd=world.root)
    try:
        resource.prlimit(other.pid, resource.RLIMIT_CORE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except (PermissionError, ValueError) as error:
        stop(other, signal.SIGKILL)
        raise Skip("the limit cannot be raised again") from error
    if not stop(other, signal.SIGQUIT):
        raise Skip("this machine makes no cores at all")
    process = at_work(world)
    try:
        resource.prlimit(process.pid, resource.RLIMIT_CORE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except PermissionError:
        # Allowed with the other: who may not look into it may not do this.
        print("       the kernel lets nobody at it")
    expect(not stop(process, signal.SIGQUIT), "there is a core")


def keys_lie_in_locked_memory(world):
    skip_with_sanitizers(world, "it locks no memory")
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if limit != resource.RLIM_INFINITY and limit < 1 << 16:
        raise Skip("no memory may be locked here")
    process = at_work(world)
    locked = int(facts_of(process.pid)["VmLck"].split()[0])
    stop(process, signal.SIGKILL)
    expect(locked >= 4, locked, "KiB are locked")
    print(f"       {locked} KiB are locked")


def the_command_line_and_the_environment_hold_no_secret(world):
    process = at_work(world)
    for name in ("cmdline", "environ"):
        content = command_kit.read_of_process(process.pid, name)
        expect(PASSPHRASE.encode() not in content, name)
    stop(process, signal.SIGKILL)


def a_passphrase_typed_is_never_echoed(world):
    world.service()
    terminal = world.terminal("hub", "status")
    terminal.wait_for("Passphrase: ")
    expect(not terminal.echoes(), "what is typed is shown")
    terminal.type(PASSPHRASE + "\n")
    shown = terminal.end()
    expect(PASSPHRASE not in shown and "Test Service" in shown, shown)


def after_a_signal_at_the_question_the_terminal_echoes_again(world):
    world.service()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP,
                   signal.SIGQUIT):
        terminal = world.terminal("hub", "status")
        terminal.wait_for("Passphrase: ")
        expect(not terminal.echoes(), "what is typed is shown")
        time.sleep(0.2)  # it has asked, but may not wait for the answer yet
        os.kill(terminal.process, number)
        end = time.monotonic() + 10
        while not terminal.echoes() and time.monotonic() < end:
            time.sleep(0.01)
        expect(terminal.echoes(), number, "left the terminal dumb")
        wanted = {signal.SIGINT: 130, signal.SIGTERM: 130}
        terminal.end(code=wanted.get(number, -number))


def a_pipe_is_never_taken_for_a_person(world):
    """Without a terminal nothing is asked, whatever the input holds."""
    world.service()
    environment = dict(world.environment, CASEBOUND_STORE=world.path("hub"))
    done = subprocess.run(
        [world.programs["casebound"], "status"], env=environment, check=False,
        input=PASSPHRASE + "\n", text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect(done.returncode == 2 and "there is no terminal" in done.stderr,
           done)
    expect("--passphrase-fd" in done.stderr, done.stderr)
    done = subprocess.run(
        [world.programs["casebound"], "status", "--no-input"], check=False,
        env=environment, input=PASSPHRASE + "\n", text=True,
        start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    expect(done.returncode == 11, done)


if __name__ == "__main__":
    command_kit.main([
        the_limit_leaves_no_room_for_a_core,
        without_the_limit_there_is_no_core_either,
        keys_lie_in_locked_memory,
        the_command_line_and_the_environment_hold_no_secret,
        a_passphrase_typed_is_never_echoed,
        after_a_signal_at_the_question_the_terminal_echoes_again,
        a_pipe_is_never_taken_for_a_person,
    ])
