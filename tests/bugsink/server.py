"""A Bugsink for the tests: prepares a database, serves it, and tells what is stored.

    server.py prepare DIR        an instance in DIR with projects 1 to 32, each with a key of its own
    server.py serve DIR PORT [once]
                                 serves it on the loopback until standard input ends; `once` removes
                                 DIR then
    server.py events DIR         one JSON object per stored event, in the order of arrival

Needs `bugsink==2.6.1` and `gunicorn`. The file is its own settings module.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
import threading
import uuid
from pathlib import Path

DIR = Path(os.environ.get("BUGSINK_DIR", "."))
PORT = os.environ.get("BUGSINK_PORT", "8000")
PROJECTS = 32

if os.environ.get("DJANGO_SETTINGS_MODULE") == "server" and __name__ == "server":
    from bugsink.settings.default import *  # noqa: F403
    from bugsink.settings.default import DATABASES

    SECRET_KEY = "of a server that lives for one test"
    for name in DATABASES:
        DATABASES[name]["NAME"] = str(DIR / f"{name}.sqlite3")
    # An event is stored when the answer to its POST comes.
    SNAPPEA = {"TASK_ALWAYS_EAGER": True}
    EMAIL_BACKEND = "django.core.mail.backends.dummy.EmailBackend"
    TIME_ZONE = "UTC"
    BUGSINK = {
        "BASE_URL": f"http://127.0.0.1:{PORT}",
        "SINGLE_USER": True,
        "SINGLE_TEAM": True,
        "PHONEHOME": False,
        "INGEST_STORE_BASE_DIR": str(DIR / "ingestion"),
        # Not "strict": its schema knows no `_meta`. What the schema says is in `../schema.rs`.
        "VALIDATE_ON_DIGEST": "none",
        "MAX_EVENTS_PER_PROJECT_PER_5_MINUTES": 1_000_000,
        "MAX_EVENTS_PER_PROJECT_PER_HOUR": 1_000_000,
        "MAX_EVENTS_PER_5_MINUTES": 1_000_000,
        "MAX_EVENTS_PER_HOUR": 1_000_000,
    }


def use(directory, port="8000"):
    os.environ.update(BUGSINK_DIR=directory, BUGSINK_PORT=port, DJANGO_SETTINGS_MODULE="server")
    sys.path.insert(0, str(Path(__file__).parent))


def key(project):
    """The key of a project, which the tests know beforehand."""
    return uuid.UUID(int=0x1A57 << 112 | project)


def prepare(directory):
    use(directory)
    import django

    django.setup()
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    call_command("migrate", database="snappea", verbosity=0)

    from projects.models import Project, ProjectMembership
    from teams.models import Team

    user = get_user_model().objects.create_superuser("tests", "tests@example.org", "tests")
    team = Team.objects.create(name="tests")
    for number in range(1, PROJECTS + 1):
        project = Project.objects.create(
            pk=number, name=f"project {number}", team=team, sentry_key=key(number)
        )
        ProjectMembership.objects.create(project=project, user=user, accepted=True)


def serve(directory, port, once=None):
    use(directory, port)
    master = os.getpid()

    def end_with_the_tests():
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_the_tests, daemon=True).start()
    from gunicorn.app.wsgiapp import run

    sys.argv = ["gunicorn", "bugsink.wsgi", "--bind", f"127.0.0.1:{port}", "--workers", "1"]
    sys.argv += ["--threads", "4", "--no-control-socket", "--log-level", "warning"]
    try:
        run()
    finally:
        if once and os.getpid() == master:
            shutil.rmtree(directory, ignore_errors=True)


def events(directory):
    database = sqlite3.connect(f"file:{Path(directory) / 'default.sqlite3'}?mode=ro", uri=True)
    rows = database.execute(
        "select project_id, event_id, issue_id, data from events_event order by digested_at"
    )
    for project, event_id, issue, data in rows:
        print(json.dumps({"project": project, "id": event_id, "issue": issue, "event": json.loads(data)}))


if __name__ == "__main__":
    {"prepare": prepare, "serve": serve, "events": events}[sys.argv[1]](*sys.argv[2:])
