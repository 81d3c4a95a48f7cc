"""kedro-astro: every pipeline of a Kedro project as an Airflow DAG.

This package belongs to the template and is replaced by `copier update`: change your pipelines,
not these files.
"""

__version__ = "0.2.0"
