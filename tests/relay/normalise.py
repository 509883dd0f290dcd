"""Runs events through Relay's own normaliser and prints what it objects to.

Reads one event (a JSON object) per line from standard input and prints one line per event: a JSON
array of [path, objection], empty if Relay takes the event as it is. Needs `sentry-relay==0.10.1`.
"""

import json
import sys

from sentry_relay.processing import StoreNormalizer

# As a server has it: fields are cut to their limits, timestamps held to the allowed range.
NORMALIZER = StoreNormalizer(
    project_id=1,
    protocol_version="7",
    enable_trimming=True,
    remove_other=True,
    max_secs_in_future=60,
    max_secs_in_past=30 * 86400,
)


def objections(meta, path=""):
    """Every note in the tree of notes; the key "" holds those about the value itself."""
    for key, inner in meta.items():
        if key == "":
            yield [path or ".", inner]
        elif isinstance(inner, dict):
            yield from objections(inner, f"{path}.{key}")


for line in sys.stdin:
    normalised = NORMALIZER.normalize_event(raw_event=line.encode())
    found = list(objections(normalised.get("_meta") or {}))
    for key in ("release", "environment", "level", "platform"):
        sent, kept = json.loads(line).get(key), normalised.get(key)
        if sent != kept:
            found.append([f".{key}", {"sent": sent, "kept": kept}])
    print(json.dumps(found), flush=True)
