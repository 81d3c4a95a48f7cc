"""Project settings. Kedro's defaults are in force for everything that is not set here."""

import os


def data_root_or(default: str) -> str:
    """Return where the variable KEDRO_DATA_ROOT says that the data are, else the default."""
    return os.environ.get("KEDRO_DATA_ROOT", "").rstrip("/") or default


CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # Your own OmegaConf resolvers go here; this one is for conf/*/globals.yml.
    "custom_resolvers": {"data_root_or": data_root_or},
}

# What you can set, among others:
#   HOOKS                          instances of your own hook classes, as a tuple
#   DISABLE_HOOKS_FOR_PLUGINS      names of installed plugins whose hooks should stay silent
#   CONF_SOURCE                    the folder with the configuration ("conf")
#   CONFIG_LOADER_CLASS            how that folder is read
#   SESSION_STORE_CLASS, _ARGS     where a session leaves its records
#   DATA_CATALOG_CLASS             your own kind of catalog
