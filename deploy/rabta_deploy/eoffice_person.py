"""A person at work in e-Office, through its small JSON API; for the story and the tests."""

import asyncio
from typing import Any
from urllib.parse import urlencode

from rabta_deploy.fault import YardError
from rabta_deploy.jsonhttp import Answer, request


class EOfficeError(YardError):
    """e-Office refused a person's act."""


class Clerk:
    """One person signed in to e-Office.

    Args:
        url: e-Office's base URL.
        person_id: e-Office's id of the person.
        password: The person's password.
    """

    def __init__(self, url: str, person_id: str, password: str) -> None:
        self._url = url
        signed_in = request(
            "POST",
            f"{url}/api/session",
            json_body={"person_id": person_id, "password": password},
        )
        self._token = str(_expect(signed_in)["token"])

    def call(self, method: str, path: str, body: object = None) -> Answer:
        """One request of the API, as this person; the answer as it is."""
        return request(method, f"{self._url}/api/{path}", json_body=body, token=self._token)

    def open_file(self, post_id: str, file_no: str, subject: str, **further: Any) -> str:
        """Open a file at a post the person holds.

        Returns:
            Its id.

        Raises:
            EOfficeError: With e-Office's own reason.
        """
        body = {"post_id": post_id, "file_no": file_no, "subject": subject, **further}
        return str(_expect(self.call("POST", "files", body))["file_id"])

    def act(self, file_id: str, verb: str, post_id: str, **further: Any) -> dict[str, Any]:
        """Do one act on a file (`put-up`, `approve`, ...), in a post.

        Returns:
            The file's state after it.

        Raises:
            EOfficeError: With e-Office's own reason.
        """
        return _expect(
            self.call("POST", f"files/{file_id}/{verb}", {"post_id": post_id, **further})
        )

    def attach(
        self, file_id: str, post_id: str, name: str, media_type: str, body: bytes
    ) -> dict[str, Any]:
        """Put a document on a file that is with a post the person holds.

        Returns:
            The document as e-Office keeps it: `doc_id`, `sha256` and so on.

        Raises:
            EOfficeError: With e-Office's own reason.
        """
        query = urlencode({"post_id": post_id, "name": name})
        url = f"{self._url}/api/files/{file_id}/documents?{query}"
        headers = {"Content-Type": media_type}
        return _expect(request("POST", url, body=body, headers=headers, token=self._token))

    def file(self, file_id: str) -> dict[str, Any]:
        """State, movements and decisions of a file.

        Raises:
            EOfficeError: With e-Office's own reason.
        """
        return _expect(self.call("GET", f"files/{file_id}"))

    async def wait_file(self, file_id: str, *, decided: str, within_s: float) -> dict[str, Any]:
        """The file, once its ledger holds the outcome `decided`.

        Raises:
            EOfficeError: `not-decided` at the deadline.
        """
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            state = self.file(file_id)
            if decided in [row["outcome"] for row in state["decisions"]]:
                return state
            if asyncio.get_running_loop().time() > deadline:
                raise EOfficeError(
                    "not-decided",
                    f"{file_id} was not {decided} within {within_s:.0f} s.",
                    "read the logs of bridge and e-Office",
                )
            await asyncio.sleep(0.2)


def _expect(answer: Answer) -> dict[str, Any]:
    body = answer.body if isinstance(answer.body, dict) else {}
    if answer.status not in (200, 201):
        raise EOfficeError(
            str(body.get("reason", "eoffice-refused")),
            f"e-Office answered {answer.status}: {body.get('detail', '')}",
            "see the reason",
        )
    return body
