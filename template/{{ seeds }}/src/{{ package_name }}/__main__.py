"""Run the project as ``python -m <package>``, with the options of ``kedro run``."""

from typing import Any

from kedro.framework.cli.utils import find_run_command
from kedro.framework.project import configure_project


def main(*args: Any, **kwargs: Any) -> Any:
    """Hand the arguments of the command line to the project's run command."""
    configure_project(__package__)
    return find_run_command(__package__)(*args, **kwargs)


if __name__ == "__main__":
    main()
