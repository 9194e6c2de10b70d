/* SPDX-License-Identifier: Apache-2.0 */
#include <casebound/audit.h>

#include <string.h>
#include <strings.h>

static const cb_audit_code codes[] = {
    { "SIG",
      "a signature does not hold, or stored bytes are not what they were",
      "these bytes were not written, in this form, by the key they claim",
      "who changed them, or whether a disk did",
      "compare the place with another copy of the log; if only this copy "
      "differs, fetch it again, and keep the changed one" },
    { "PAY",
      "a body in a device's branch is not the one that its stub was signed for",
      "the body was changed or swapped after it was signed",
      "who did it; the stub, and with it author, order and claimed time, still "
      "holds",
      "fetch the branch again, or take the body from the store of whoever "
      "wrote or received it" },
    { "GAP", "a number is missing inside a stream",
      "an entry with that number existed: its writer signed the next one",
      "what it said, and who kept it back",
      "ask the stream's writer to send again; ask the hub what it received" },
    { "TAIL", "the end of a stream is missing, though somebody has seen it",
      "entries beyond what is here were seen by whoever names them",
      "what they said; a delivery may simply not have arrived yet",
      "fetch again; if it stays, show the receipt or the heartbeat to the "
      "hub" },
    { "FORK", "one stream has two entries with the same number",
      "one key signed two different histories; both signatures are in the "
      "evidence",
      "which of the two is right: a cloned disk or a restored copy does this "
      "as well as a liar",
      "keep both, freeze the stream, ask whose machine was copied or restored" },
    { "CLONE", "a fork whose two halves come from two copies of one store",
      "two machines hold one stream's key",
      "which of the two is the one that was enrolled",
      "freeze the stream and enrol the machines again" },
    { "ROLLBK",
      "the log is older than a checkpoint that somebody holds, or went back "
      "in its own history",
      "the log had entries that it does not have now",
      "intent: a hub that was restored from a backup looks the same",
      "keep this copy and the checkpoint; bring the hub's latest backup and "
      "the devices' entries together" },
    { "SPLIT", "there are two trees for one size",
      "the hub has shown different logs to different people, if both "
      "checkpoints carry its signature",
      "which of them is complete",
      "keep both notes and the copies they came with; compare them entry by "
      "entry" },
    { "FREEZE", "the newest checkpoint is older than the limit",
      "nothing newer was given to whoever holds this copy",
      "whether there is anything newer",
      "fetch by another way, or ask the hub for its present checkpoint" },
    { "REORD", "the log does not grow out of an earlier checkpoint",
      "what the hub had signed was changed, reordered or removed",
      "which entry: compare with a copy from the time of that checkpoint",
      "keep this copy and the checkpoint; fetch the log as others hold it" },
    { "BACKD",
      "an entry claims a time before something that it demonstrably knew",
      "it was not written when it says: it names a checkpoint that did not "
      "exist yet",
      "when it was written, beyond 'after that checkpoint'; and all of it "
      "rests on the hub's clock",
      "ask the writer; look at the clock quality of the entry" },
    { "FUTURE", "an entry claims a time far ahead of its arrival",
      "it was not written when it says, as far as the hub's clock can be "
      "believed",
      "whether a clock was wrong or somebody lied",
      "ask the writer; look at the clock quality of the entry" },
    { "CLKBK", "the claimed times of a stream go backwards",
      "the writing program did not keep the rule that time only advances",
      "which of the times is right; the order of the entries still holds",
      "look at the machine's clock and at what wrote the entry" },
    { "BRKT",
      "the checkpoint that an entry embeds is smaller than an earlier one, or "
      "is none of this log",
      "its writer had not seen of this log what the entry says",
      "whether the writer lies or was shown another log",
      "ask the writer for the checkpoint note that the store kept: with the "
      "hub's signature on it, this is SPLIT" },
    { "REVOK", "an entry was written beyond the cut of its stream's revocation",
      "the stream's key signed it after what the cut names",
      "whether its content is true",
      "leave it in quarantine, or have a supervisor admit it" },
    { "ROSTER",
      "a key, a certificate or a version of the roster does not follow from "
      "the realm",
      "the list of who may write was rolled back, replaced or bypassed here",
      "who did it",
      "compare the realm with the admission file; trust nothing signed by "
      "that key" },
    { "HIDE", "something is in the log but not in a view or an export",
      "whoever made the view left it out", "why",
      "ask for the view again, made from the whole log" },
    { "NOPROOF", "a proof that has to be there is absent or cannot be read",
      "nothing: that is the point",
      "that anything is wrong; only that it cannot be shown to be right",
      "fetch the log again from the hub or from somebody else" },
    { "GITX",
      "the repository holds what makes Git show something else than what is "
      "stored",
      "the copy was set up so, by accident or on purpose",
      "that the stored log is wrong: it was not looked at",
      "make a fresh clone with: git clone --mirror, and check that" },
};

static const size_t code_count = sizeof codes / sizeof codes[0];

const cb_audit_code *cb_audit_explain(const char *code)
{
    for (size_t i = 0; i < code_count; i++) {
        if (strcasecmp(codes[i].code, code) == 0) {
            return &codes[i];
        }
    }
    return NULL;
}

const cb_audit_code *cb_audit_code_at(size_t index)
{
    return index < code_count ? &codes[index] : NULL;
}
