"""`python -m kedro_astro` or `python dags/kedro_astro`: the `kedro astro` commands anywhere."""

import sys
from pathlib import Path

if not __package__:
    # Python puts this folder first; its modules are to be found in the package and nowhere else.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    import kedro_astro.project

    if not kedro_astro.project.IN_DAGS or sys.argv[1:2] == ["serve"]:
        # Another interpreter's libraries are beside it, and they are not for this one. Nor is a
        # project's `dags/` for what Airflow imports itself.
        del sys.path[0]

if __name__ == "__main__":
    match sys.argv[1:]:
        # What a task waits for: nothing of `cli` is imported for it.
        case ["run", *arguments]:
            from kedro_astro.running.run import main as run

            run(*arguments)
        case ["read", *arguments]:
            from kedro_astro.reading.discover import main as read

            read(*arguments)
        case ["serve", port]:
            from kedro_astro.airflow.server import main as serve

            serve(port)
        case _:
            from kedro_astro.cli import astro

            astro(prog_name="kedro astro")
