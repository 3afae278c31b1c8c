"""Hold the routes, one subject a module, each with its `router`; `service/app.py` lists them."""
