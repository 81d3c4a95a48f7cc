"""`python -m kedro_astro`: the `kedro astro` commands, where the project is not installed."""

from kedro_astro.cli import astro

if __name__ == "__main__":
    astro(prog_name="python -m kedro_astro")
