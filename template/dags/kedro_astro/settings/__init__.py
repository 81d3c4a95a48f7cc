"""What `airflow.yml` may say."""
