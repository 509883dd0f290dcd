"""Holds events against the public schema of Sentry events, which Bugsink's wheel carries.

Reads one event (a JSON object) per line from standard input and prints one line per event: a JSON
array of [path, mistake], empty if the schema allows the event. Needs `bugsink==2.6.1` and
`jsonschema`.
"""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

from jsonschema import validators
from jsonschema.exceptions import best_match

(FOLDER,) = find_spec("api").submodule_search_locations
SCHEMA = json.loads((Path(FOLDER) / "event.schema.json").read_text())
VALIDATOR = validators.validator_for(SCHEMA)(SCHEMA)


def innermost(error):
    """The mistake in the alternative that fits best: `anyOf` alone says nothing."""
    return best_match([error]) or error


for line in sys.stdin:
    found = [innermost(error) for error in VALIDATOR.iter_errors(json.loads(line))]
    print(json.dumps([[error.json_path, error.message[:400]] for error in found]), flush=True)
