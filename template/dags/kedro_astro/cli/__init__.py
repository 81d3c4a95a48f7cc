"""`kedro astro`."""
