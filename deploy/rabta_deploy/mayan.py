"""A real Mayan EDMS beside the yard, for tests: installed, prepared and run as a separate program.

Mayan is GPL-2.0. It gets a virtual environment of its own in a directory outside the tree, and we
speak to it over its REST interface alone.
"""

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

from rabta_deploy.fault import YardError
from rabta_deploy.jsonhttp import answers, request
from rabta_deploy.process import Child, spawn

VERSION = "4.12.2"
_READY_WITHIN_S = 180
# Its LDAP login needs C headers, and no application of Mayan imports it.
_WITHOUT = "django-auth-ldap ; sys_platform == 'never'\n"
_SETTINGS = """from mayan.settings.production import *
CELERY_TASK_ALWAYS_EAGER = True
STATICFILES_STORAGE = 'django.contrib.staticfiles.storage.StaticFilesStorage'
"""
_MODULE = "rabta_mayan_settings"


class MayanError(YardError):
    """Mayan could not be installed, or refused a request of the yard."""


class MayanServer:
    """One Mayan.

    Args:
        home: Keeps the program and a prepared, empty library; used again by the next run.
        media: The library of this run; a copy of the prepared one.
        port: Loopback port.
    """

    def __init__(self, home: Path, media: Path, port: int) -> None:
        self._home = home.absolute()
        self._media = media.absolute()
        self._port = port
        self.url = f"http://127.0.0.1:{port}"
        self.child: Child | None = None
        self._token = ""

    @property
    def _program(self) -> Path:
        return self._home / "venv/bin/mayan-edms.py"

    def prepare(self) -> None:
        """Install the program and make an empty library, where that was not done before.

        About five minutes the first time.

        Raises:
            MayanError: `mayan-not-installed`, with the installer's last words.
        """
        self._home.mkdir(parents=True, exist_ok=True)
        if not self._program.exists():
            (self._home / "overrides.txt").write_text(_WITHOUT)
            uv = Path(sys.executable).with_name("uv")
            venv = self._home / "venv"
            _run([uv, "venv", "--clear", "--python", sys.executable, venv])
            python, overrides = venv / "bin/python", self._home / "overrides.txt"
            wanted = f"mayan-edms=={VERSION}"
            _run([uv, "pip", "install", "--python", python, "--overrides", overrides, wanted])
        (self._home / f"{_MODULE}.py").write_text(_SETTINGS)
        made = self._home / "prepared"
        if not made.exists():
            half = self._home / "half-prepared"
            shutil.rmtree(half, ignore_errors=True)
            _run(
                [self._program, "common_initial_setup", "--no-dependencies"],
                environment={"MAYAN_MEDIA_ROOT": str(half)},
            )
            half.rename(made)

    def start(self) -> None:
        """Start it on a copy of the prepared library, and wait until it answers.

        Raises:
            ProcessError: It ended, or is not ready in time; with its last log lines.
        """
        # Its configuration names the folder that it was made in, so Mayan writes a new one.
        without = shutil.ignore_patterns("config.yml", "config_backup.yml")
        shutil.copytree(self._home / "prepared", self._media, ignore=without)
        address = f"127.0.0.1:{self._port}"
        self.child = spawn(
            [self._program, "runserver", "--noreload", f"--settings={_MODULE}", address],
            name="mayan",
            log_file=self._media / "mayan.log",
            directory=self._home,
            environment={"MAYAN_MEDIA_ROOT": str(self._media), "PYTHONPATH": str(self._home)},
        )
        self.child.wait_ready(
            lambda: answers(f"{self.url}/api/v4/?format=json"), within_s=_READY_WITHIN_S
        )
        with contextlib.closing(sqlite3.connect(self._media / "db.sqlite3")) as library:
            (password,) = library.execute(
                "SELECT password FROM autoadmin_autoadminsingleton"
            ).fetchone()
        self._token = self.token("admin", password)

    def stop(self) -> None:
        """Stop it; harmless when it does not run."""
        if self.child is not None:
            self.child.stop()

    def token(self, user: str, password: str) -> str:
        """The API token of a user."""
        body = {"username": user, "password": password}
        return str(self.call("POST", "auth/token/obtain/", body, token=None)["token"])

    def call(
        self, method: str, path: str, body: object = None, *, token: str | None = ""
    ) -> dict[str, Any]:
        """One REST call, as the administrator unless another token is given.

        Raises:
            MayanError: `mayan-refused`.
        """
        token = self._token if token == "" else token
        answer = request(
            method,
            f"{self.url}/api/v4/{path}",
            json_body=body,
            headers={"Authorization": f"Token {token}"} if token else None,
        )
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            told = json.dumps(answer.body)
            raise MayanError("mayan-refused", f"{path}: {answer.status} {told}.", "see its log")
        return dict(answer.body or {})


def _run(command: list[str | Path], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(  # noqa: S603 - a fixed program with our own arguments
        ["/usr/bin/env", *(f"{key}={value}" for key, value in (environment or {}).items())]
        + [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise MayanError(
            "mayan-not-installed",
            f"{command[0]} ended with code {done.returncode}.\n{tail}",
            "connect this machine to the package registries, and run it again",
        )
