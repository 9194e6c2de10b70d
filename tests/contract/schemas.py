#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what the command prints under --json to schema/json.

Usage: schemas.py --casebound PROGRAM --schemas FOLDER --clock TIME

Runs commands in a temporary store and validates each answer and each error
against the schema that its member "schema" names.  A consumer may ignore
members that it does not know, so the schemas allow them; this test does not:
what is printed and not described is a failure too.  So is a schema that no
command here has printed a document for, and a form that stands in the sources
and has no schema.
"""
import argparse
import copy
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import jsonschema

PASSPHRASE = "correct horse battery\n"
CASE = "RL-2017-00001-8"
# Documents between the parts of the program, which no command prints.
INNER = {"casebound.case_state.v1", "casebound.verdicts.v1",
         "casebound.knew.v1"}


def load(folder):
    """The schemas by the form that they describe, each with all parts."""
    with open(os.path.join(folder, "parts.schema.json"), encoding="utf-8") as f:
        parts = json.load(f)
    jsonschema.Draft202012Validator.check_schema(parts)
    schemas = {}
    for name in sorted(os.listdir(folder)):
        if name == "parts.schema.json" or not name.endswith(".schema.json"):
            continue
        with open(os.path.join(folder, name), encoding="utf-8") as f:
            schema = json.load(f)
        jsonschema.Draft202012Validator.check_schema(schema)
        form = schema["properties"]["schema"]["const"]
        if name != form.split(".", 1)[1] + ".schema.json":
            raise SystemExit(f"{name}: describes {form}")
        schema["$defs"] = copy.deepcopy(parts["$defs"])
        schemas[form] = close(schema)
    return schemas


def close(schema):
    """References made local; no object may have members not described."""
    if isinstance(schema, list):
        return [close(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: close(value) for key, value in schema.items()
              if key != "$id"}
    reference = closed.get("$ref")
    if reference is not None:
        closed["$ref"] = reference.replace("parts.schema.json#", "#")
    if isinstance(closed.get("properties"), dict) and "type" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def named_in_sources():
    """The forms whose names stand in the program's text."""
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
    forms = set()
    for part in ("engine", "sync", "cli"):
        for folder, _, names in os.walk(os.path.join(root, part)):
            for name in names:
                if name.endswith(".c"):
                    with open(os.path.join(folder, name),
                              encoding="utf-8") as file:
                        forms |= set(re.findall(r'"(casebound\.\w+\.v\d+)"',
                                                file.read()))
    return forms


class Run:
    def __init__(self, program, clock, schemas, folder):
        self.program = program
        self.schemas = schemas
        self.folder = folder
        self.seen = set()
        self.passed = 0
        self.failed = 0
        self.environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": folder,
            "TZ": "UTC", "LC_ALL": "C.UTF-8", "CASEBOUND_TEST_SEED": "schemas",
            "CASEBOUND_TEST_STATE": folder, "CASEBOUND_TEST_CLOCK": clock}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                self.environment[name] = os.environ[name]

    def check(self, words, text):
        problems = []
        document = {}
        try:
            document = json.loads(text)
            schema = self.schemas.get(document.get("schema"))
            if schema is None:
                problems.append(f"no schema for {document.get('schema')}")
            else:
                self.seen.add(document["schema"])
                validator = jsonschema.Draft202012Validator(schema)
                for error in validator.iter_errors(document):
                    at = "/".join(str(step) for step in error.path)
                    problems.append(f"at '{at}': {error.message[:300]}")
        except ValueError as error:
            problems.append(f"not one JSON document: {error}")
        if problems:
            self.failed += 1
            print("FAILED casebound", *words)
            for problem in problems:
                print("   ", problem)
        else:
            self.passed += 1
        return document

    def __call__(self, *words, code=0, secret=PASSPHRASE, found=False):
        """Runs a command; returns its document, or the error's.

        `found`: it ends with 1 because it found something, and answers.
        """
        command = [self.program, "--json", "--passphrase-fd", "0", *words]
        done = subprocess.run(command, env=self.environment, cwd=self.folder,
                              input=secret, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        failed = done.returncode not in (0, 3) and not found
        if done.returncode != code or (failed and done.stdout):
            self.failed += 1
            print("FAILED casebound", *words)
            print(f"    ended with {done.returncode}, not {code}")
            print("   ", done.stderr, done.stdout)
            return {}
        return self.check(words, done.stderr if failed else done.stdout)


def tell_store(run):
    run("version")
    run("version", "--limits")
    run("version", "--nonsense", code=2)
    run("-C", "alone", "init")
    run("-C", "alone", "init", code=1)
    run("-C", "alone", "status")
    run("-C", "alone", "status", code=13, secret="another passphrase\n")
    run("-C", "alone", "passphrase",
        secret=PASSPHRASE + "battery staple correct\n")
    run("-C", "alone", "recovery", "new", "-o", "paper",
        secret="battery staple correct\n")
    run("-C", "alone", "key", "rotate", "--yes", "--drop-recovery",
        secret="battery staple correct\n")
    run("-C", "alone", "backup", "alone.backup",
        secret="battery staple correct\n")
    run("-C", "restored", "restore", "alone.backup",
        secret="battery staple correct\n")
    run("-C", "restored", "restore", "--in-place",
        secret="battery staple correct\n")
    run("-C", "alone", "lock")
    # Where the kernel keeps no keys, that is an error of its own form.
    kept = subprocess.run(
        [run.program, "--json", "-C", "alone", "--passphrase-fd", "0",
         "unlock", "--for", "1m"], env=run.environment, cwd=run.folder,
        input="battery staple correct\n", text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    run.check(["unlock"], kept.stdout or kept.stderr)
    if kept.returncode != 0:
        print("skipped: unlock, for this kernel keeps no keys here")
        run.seen.add("casebound.unlock.v1")
    run("-C", "alone", "lock")


def tell_case(run):
    run("types")
    for name in [one["type"] for one in run("types").get("types", [])]:
        run("types", name)
    run("case", "new", "received=today", "source=self_victim",
        "stage=historic", "initiated_by=victim", "flags=domestic_abuse")
    add = ("add", "--case", CASE)
    run(*add, "person", "role=victim", "name=Amara Hill")
    run(*add, "person", "role=offender")
    run(*add, "allocation", "lead=me")
    run(*add, "consent", "--about", "victim", "state=given",
        "scope=approach_other_party,direct_meeting,indirect")
    run(*add, "consent", "--about", "offender", "state=given",
        "scope=direct_meeting")
    risk = run(*add, "risk_assessment", "stage=initial", "overall=M")
    plan = run(*add, "plan", "method=face_to_face", "date=2017-03-20 14:00",
               "participants=victim,offender")
    note = run(*add, "contact", "--about", "victim", "channel=letter",
               "direction=outgoing", "outcome=message")
    run("amend", risk["record"], "overall=H", "--why", "new information")
    run("strike", note["record"], "--why", "was never sent")
    run(*add, "consent", "--about", "victim", "scope=direct_meeting",
        "state=withdrawn", "--happened", "yesterday")
    run(*add, "event", "method=face_to_face", "held=held",
        "participants=victim,offender", code=19)
    run("show", risk["record"])
    run("show", plan["record"])
    run("show", note["record"])
    run("show", "ffffffff", code=1)
    run("case", "list")
    run("case", "show", CASE)
    run("case", "timeline", CASE)
    run("tasks")
    run("conflicts")
    run("status")


def tell_import(run):
    with open(os.path.join(run.folder, "cases.csv"), "w",
              encoding="utf-8") as file:
        file.write("source,stage,received,initiated_by,victim.name\n"
                   "self_victim,historic,2017-03-01,victim,Beth Lane\n")
    run("hub", "import", "cases.csv")


def tell_service(run):
    """Another machine joins; what it writes goes to the hub and back."""
    run("-C", "ann", "init")
    asked = run("-C", "ann", "enrol", "request", "-o", "ann.request")
    run("hub", "enrol", "ann.request", "--name", "Ann Baker", "--role",
        "facilitator", "--fingerprint", asked["fingerprint"], "-o",
        "ann.admission")
    run("-C", "ann", "join", "ann.admission", code=2)
    run("-C", "ann", "join", "ann.admission", "--yes")
    run("hub", "people")
    run("-C", "ann", "sync", "--dry-run")
    run("-C", "ann", "sync")
    run("hub", "grant", CASE, "Ann Baker")
    run("hub", "merge")
    run("-C", "ann", "sync")
    run("-C", "ann", "add", "--case", CASE, "contact", "--about", "victim",
        "channel=letter", "direction=outgoing", "outcome=message")
    victim = run("case", "show", CASE)["parties"][0]["id"]
    run("-C", "ann", "amend", victim, "name=Amara Shah", "--why", "her letter")
    run("amend", victim, "name=Amara Hill-Shah", "--why", "she rang")
    run("-C", "ann", "sync")
    run("hub", "merge", code=3)
    conflicts = run("conflicts", code=3)["conflicts"]
    run("case", "show", CASE)
    run("show", victim)
    run("resolve", conflicts[0]["id"], "--keep", "5", "--why", "x", code=2)
    run("resolve", conflicts[0]["id"], "--keep", "2", "--why", "she said so")
    run("show", victim)
    run("conflicts")
    run("hub", "signers")
    run("doctor")
    run("doctor", "--repair")
    run("-C", "ann", "doctor")
    run("audit", "verify")
    run("audit", "verify", "log", "--fast", "--realm", "0" * 32, code=1,
        found=True)
    run("audit", "verify", "nowhere", code=2)
    run("audit", "explain")
    run("audit", "replay", "--as-received", "today")
    run("audit", "timeline", CASE)
    run("audit", "knew", CASE, "--at", "today", "--by", "Ann Baker")
    shutil.copytree(os.path.join(run.folder, "ann"),
                    os.path.join(run.folder, "spoilt"))
    with open(os.path.join(run.folder, "spoilt", "casebook.db"), "r+b") as file:
        file.seek(5 * 4096 + 100)
        file.write(b"spoilt")
    run("-C", "spoilt", "doctor", code=12, found=True)
    os.rename(os.path.join(run.folder, "log"),
              os.path.join(run.folder, "elsewhere"))
    run("-C", "ann", "sync", "--if-reachable")
    run("-C", "ann", "sync", code=14)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--casebound", required=True)
    parser.add_argument("--schemas", required=True)
    parser.add_argument("--clock", default="2017-03-14 14:00")
    arguments = parser.parse_args()
    schemas = load(arguments.schemas)
    with tempfile.TemporaryDirectory() as folder:
        run = Run(os.path.abspath(arguments.casebound), arguments.clock,
                  schemas, folder)
        tell_store(run)
        run("hub", "init", "--log", os.path.join(folder, "log"), "--name",
            "Restore London", "--person", "Judith Lind")
        tell_case(run)
        tell_import(run)
        tell_service(run)
    for form in sorted(named_in_sources() - set(schemas) - INNER):
        run.failed += 1
        print(f"FAILED {form} is printed and described nowhere")
    for form in sorted(set(schemas) - run.seen):
        run.failed += 1
        print(f"FAILED nothing printed a document of the form {form}")
    print(f"{run.passed} passed, {run.failed} failed")
    sys.exit(run.failed > 0)


if __name__ == "__main__":
    main()
