"""Serves the officer's page: static files and one `config.json`, on loopback, nothing else.

Run as `python -m rabta_deploy.page FILE`, FILE being the YAML form of `PageSettings`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web
from pydantic import BaseModel, ConfigDict

from rabta_deploy.fault import YardError


class PageError(YardError):
    """The page cannot be served."""


class PageSettings(BaseModel):
    """What to serve and where.

    Attributes:
        host: Address to listen on.
        port: Port to listen on.
        directory: The built page.
        config: Becomes `config.json`, which the page reads at its start.
        connect_to: Origins the page may talk to, for its Content-Security-Policy.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int
    directory: Path
    config: dict[str, Any]
    connect_to: tuple[str, ...]


def application(settings: PageSettings) -> web.Application:
    """The page's web application.

    Raises:
        PageError: `page-not-built` when the directory holds no page.
    """
    index = settings.directory / "index.html"
    if not index.is_file():
        raise PageError(
            "page-not-built", f"{settings.directory} holds no page.", "run `make install`"
        )
    headers = {
        "Content-Security-Policy": _content_security_policy(settings.connect_to),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",
    }

    async def add_headers(_request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)

    async def show_index(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(index)

    async def show_config(_request: web.Request) -> web.Response:
        return web.json_response(settings.config)

    async def show_health(_request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/", show_index)
    app.router.add_get("/config.json", show_config)
    app.router.add_get("/health", show_health)
    app.router.add_static("/", settings.directory)
    return app


def _content_security_policy(connect_to: tuple[str, ...]) -> str:
    """Own files, the homeservers, and WebAssembly (the Rust crypto) only."""
    sources = {
        "default-src": "'self'",
        "script-src": "'self' 'wasm-unsafe-eval'",
        "connect-src": " ".join(["'self'", *connect_to]),
        "img-src": "'self' blob: data:",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "object-src": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in sources.items())


def serve(settings: PageSettings) -> None:
    """Serve until SIGTERM.

    Raises:
        PageError: As `application`.
    """
    web.run_app(
        application(settings),
        host=settings.host,
        port=settings.port,
        print=None,
        access_log=None,
    )


def main(arguments: list[str]) -> int:
    """Read the settings file that is the only argument, and serve."""
    (file,) = arguments
    try:
        document = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
        serve(PageSettings.model_validate(document))
    except YardError as error:
        sys.stderr.write(f"{json.dumps({'reason': error.reason, 'text': str(error)})}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
