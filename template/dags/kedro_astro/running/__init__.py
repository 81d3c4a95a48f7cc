"""The nodes of one task in one Kedro session. Airflow is never imported here."""
