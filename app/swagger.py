"""The page that documents the API: Swagger UI from a package, its files served by us, so that it works offline."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ganymede</title>
<link rel="icon" href="docs/{version}/favicon-32x32.png">
<link rel="stylesheet" href="docs/{version}/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="docs/{version}/swagger-ui-bundle.js"></script>
<script>{script}</script>
</body>
</html>
"""
SCRIPT = 'SwaggerUIBundle({url: "openapi.json", dom_id: "#page", deepLinking: true, validatorUrl: null})'
KINDS = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css", "favicon-32x32.png": "image/png"}
FOLDER = Path(str(distribution("fastapi-swagger").locate_file("fastapi_swagger/resources")))  # its code is not run


@dataclass(frozen=True)
class File:
    """A file that whoever asks is given."""

    content: bytes
    media_type: str
    headers: Mapping[str, str]


def _files() -> dict[str, File]:
    """Return the page and what it needs, by path; a path that carries the version never changes what it holds."""
    found = {name: (FOLDER / name).read_bytes() for name in KINDS}
    version = _digest(b"".join(found.values()))[:16]
    page = PAGE.format(version=version, script=SCRIPT).encode()
    kept = {"Cache-Control": "public, max-age=31536000, immutable"}
    files = {
        f"/docs/{version}/{name}": File(content, KINDS[name], {"ETag": f'"{_digest(content)}"', **kept})
        for name, content in found.items()
    }
    told = {"ETag": f'"{_digest(page)}"', "Cache-Control": "no-cache", "Content-Security-Policy": _policy()}
    return {"/docs": File(page, "text/html", told), **files}


def _policy() -> str:
    """Say what the page may load and run: what we serve, and its one script by its digest."""
    script = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{script}'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


FILES: Mapping[str, File] = _files()
