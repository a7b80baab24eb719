"""What a wheel carries: gdlab, and under gdlab's own name the app and the configurations.

In a checkout `server/` and `conf/` stand at the top, where `python -m server` and
`python -m bokeh serve server` find them. Installed they may not take such common names away from
others, so the wheel keeps them in `gdlab/_app/`; `gdlab.app_path` finds either place.
"""

from pathlib import Path

from setuptools import find_namespace_packages, find_packages, setup

SERVER = "gdlab._app.server"
CONF = "gdlab._app.conf"


def _assets(folder):
    """Everything below `folder` that is not Python: templates, fonts, styles, configurations."""
    paths = (path for path in Path(folder).rglob("*") if path.is_file())
    return [str(p.relative_to(folder)) for p in paths if p.suffix not in (".py", ".pyc")]


setup(
    packages=[
        *find_packages(include=["gdlab", "gdlab.*"]),
        *find_namespace_packages(include=["hydra_plugins", "hydra_plugins.*"], exclude=["*__pycache__*"]),
        *(SERVER, *(f"{SERVER}.{name}" for name in find_packages("server")), CONF),
    ],
    package_dir={SERVER: "server", CONF: "conf"},
    package_data={"gdlab": ["py.typed"], SERVER: _assets("server"), CONF: _assets("conf")},
)
