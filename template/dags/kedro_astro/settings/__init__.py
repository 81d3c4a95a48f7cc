"""What `airflow.yml` may say. It needs pydantic: for Airflow's interpreter, and not for a parse."""
