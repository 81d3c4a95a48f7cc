"""The manifest made into DAGs; the operator, problems and the warm start."""
