"""Be the pages of the office: server-rendered, in Chinese and English, over the same functions as the JSON routes.

A page asks the function of a JSON route for its answer, so permission, place, four eyes and trace are the same; it
only shows it. A module here is a part of the menu; `frame.py` renders, `templates/` and `static/` hold what it renders.
"""

MODULES = (
    "entry",
    "home",
    "people",
    "households",
    "claims",
    "settle",
    "watch",
    "cases",
    "exchange",
    "foresight",
    "policies",
    "reforms",
    "own_policies",
    "laboratory",
    "fund",
    "measures",
    "office",
    "imports",
    "arrears",
    "clearing",
    "proposals",
    "administration",
)
"""Modules with a `router`; `create_app` includes them behind the JSON routes."""
