"""The console in the browser: GraphiQL, packaged, under a strict content security policy, with no word from elsewhere.

`static/` holds the published files of graphiql 3.9.0, react 18.3.1 and react-dom 18.3.1 unchanged, each with its
licence, and two files of ours: `index.html` and `boot.js`. The page holds no customer data and keeps none: neither
token nor query is stored in the browser.
"""

from pathlib import Path
from typing import Final

from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

__all__ = ["console_mount", "page"]

STATIC: Final = Path(__file__).parent / "static"

# The style sheet carries its fonts and icons as data: URLs; nothing else of the editor needs an exception.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src data:",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

_PAGE: Final = (STATIC / "index.html").read_text(encoding="utf-8")


def page() -> Response:
    """The GraphiQL page; its files come from console_mount()."""
    return HTMLResponse(_PAGE, headers={"content-security-policy": POLICY})


def console_mount() -> Mount:
    """/console/static: the files of the page."""
    return Mount("/console/static", StaticFiles(directory=STATIC))
