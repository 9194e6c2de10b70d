#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verifies a stream of entries from schema/FORMAT.md alone.

    verify_stream.py FILE...

The files are the segments of one stream, in order.  Prints a line an entry and
exits with 0 when everything holds, else with 1.  No code of the product is in
it, and no body that is sealed is opened.
"""
import hashlib
import json
import sys

HEADER = 208
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
KINDS = "reserved case roster access heartbeat erasure opening".split()


class Bad(Exception):
    pass


def demand(condition, words):
    if not condition:
        raise Bad(words)


# Ed25519, RFC 8032 section 5.1: points in extended coordinates (X, Y, Z, T).
def add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number, point):
    result = NONE
    while number:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def same(p, q):
    return not any((p[i] * q[2] - q[i] * p[2]) % P for i in (0, 1))


def point_of(text):
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    demand(y < P, "a point is not in its one form")
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    demand((x * x - square) % P == 0, "a point is not on the curve")
    demand(x or not sign, "a point is not in its one form")
    x = x if x & 1 == sign else P - x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
NONE = (0, 1, 1, 0)


def check_key(key):
    point = point_of(key)
    demand(same(times(L, point), NONE) and not same(point, NONE),
           "a key is not of full order")


def check_signature(key, message, signature):
    first, number = signature[:32], int.from_bytes(signature[32:], "little")
    demand(len(signature) == 64 and number < L, "not a signature's one form")
    digest = hashlib.sha512(first + key + message).digest()
    challenge = int.from_bytes(digest, "little") % L
    right = add(point_of(first), times(challenge, point_of(key)))
    demand(same(times(number, BASE), right) and
           not same(point_of(first), NONE), "the signature is not this key's")


# The format, section 2.
def hashed(domain, data):
    text = b"casebound/1 " + domain + b"\0" + data
    return hashlib.blake2b(text, digest_size=32).digest()


def number_at(data, at, size):
    return int.from_bytes(data[at:at + size], "big")


def read_entry(data):
    demand(data[:4] == b"CBE1", "it does not begin with CBE1")
    demand(data[4:5] == b"\1", "its suite is newer than this program")
    demand(len(data) >= HEADER + 64, "it is too short")
    entry = {"kind": data[5], "flags": number_at(data, 6, 2),
             "place": data[8:40], "seq": number_at(data, 40, 8),
             "prev": data[48:80], "seal": data[80:128] + data[184:208],
             "seen": data[136:176], "length": number_at(data, 180, 4),
             "body": data[HEADER:-64], "signature": data[-64:]}
    clear = entry["flags"] & 4
    demand(max(data[40], data[128], data[136]) < 128, "a number is too large")
    demand(entry["flags"] & ~7 == 0 and entry["flags"] & 3 != 3,
           "its flags are newer than this program")
    demand(entry["length"] == len(entry["body"]), "its length is not its own")
    demand((entry["prev"] == bytes(32)) == (entry["seq"] == 1),
           "prev and seq disagree")
    demand(any(entry["seen"][:8]) or not any(entry["seen"]),
           "it saw a root of no size")
    demand(not any(entry["seal"]) if clear else any(entry["seal"][:16]),
           "it names a key without need, or none where it must")
    demand(entry["length"] <= 32768 if clear else entry["length"] >= 17,
           "its length is outside the limits")
    entry["hash"] = hashed(b"entry", data[:HEADER] +
                           hashed(b"body", entry["body"]))
    return entry


def read_opening(entry):
    """The stream's key, which the device's key must have signed."""
    try:
        body = json.loads(entry["body"])
        key, device, signature = (bytes.fromhex(body[name]) for name in (
            "stream_key", "device_key", "stream_signature"))
    except (ValueError, KeyError, TypeError):
        raise Bad("the opening lacks its keys") from None
    demand(len(key) == len(device) == 32, "the opening lacks its keys")
    check_key(key)
    check_key(device)
    check_signature(device, b"casebound/1 stream\0" +
                    hashed(b"stream", entry["place"] + key), signature)
    return key


def verify(data):
    key, place, before = None, None, (0, bytes(32))
    while data:
        length = number_at(data, 0, 2)
        demand(len(data) >= 2 + length > 2, "the segment is cut")
        entry, data = read_entry(data[2:2 + length]), data[2 + length:]
        kind = KINDS[entry["kind"] if entry["kind"] < len(KINDS) else 0]
        demand(entry["seq"] == before[0] + 1, "its number does not follow")
        demand(entry["prev"] == before[1], "prev is not the hash before it")
        demand((kind == "opening") == (entry["seq"] == 1),
               "an opening comes first, and only there")
        if key is None:
            place = entry["place"]
            demand(entry["flags"] & 4, "the opening is not in clear")
            key = read_opening(entry)
        demand(entry["place"] == place, "it is of another realm or stream")
        check_signature(key, b"casebound/1 signature\0" + entry["hash"],
                        entry["signature"])
        before = (entry["seq"], entry["hash"])
        print("%d %s %s" % (entry["seq"], entry["hash"].hex(), kind))
    demand(key is not None, "there is no entry")


if __name__ == "__main__":
    try:
        verify(b"".join(open(name, "rb").read() for name in sys.argv[1:]))
    except Bad as bad:
        print("bad: %s" % bad)
        sys.exit(1)
