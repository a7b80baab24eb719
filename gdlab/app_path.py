"""Where the app and the configurations stand: in a checkout at its top, in a wheel inside gdlab.

A checkout keeps `server/` and `conf/` beside `gdlab/`. An installed gdlab carries them in
`gdlab/_app/`, because names as common as those do not belong into other people's environments.
Both commands ask here, so they work the same in either place.
"""

import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def app_root() -> Path:
    """The folder that holds `server/` and `conf/`: the checkout's top, else the packaged one.

    Raises FileNotFoundError where neither is there, which means that the installation is damaged.
    """
    # The project file tells a checkout from a folder that only happens to have such names in it.
    checkout, packaged = _PACKAGE.parent, _PACKAGE / "_app"
    if (checkout / "pyproject.toml").is_file() and (checkout / "conf").is_dir():
        return checkout
    if (packaged / "conf").is_dir():
        return packaged
    raise FileNotFoundError(
        f"gdlab's configurations are neither in {checkout / 'conf'} nor in {packaged / 'conf'}; "
        "please install gdlab again"
    )


def conf_dir() -> Path:
    """The folder of the YAML configurations, absolute (Hydra needs it so in a console script)."""
    return app_root() / "conf"


def server_dir() -> Path:
    """The folder of the Bokeh directory app, absolute."""
    return app_root() / "server"


def make_server_importable() -> None:
    """Put the app's parent first on the import path, so that `import server` finds gdlab's."""
    root = str(app_root())
    if sys.path[0] != root:
        sys.path.insert(0, root)
