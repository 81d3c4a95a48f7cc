"""A Kedro project read into a structure, in the project's own interpreter."""
