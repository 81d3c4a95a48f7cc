"""Project settings. Kedro's defaults are in force for everything that is not set here."""

# What you can set, among others:
#   HOOKS                          instances of your own hook classes, as a tuple
#   DISABLE_HOOKS_FOR_PLUGINS      names of installed plugins whose hooks should stay silent
#   CONF_SOURCE                    the folder with the configuration ("conf")
#   CONFIG_LOADER_CLASS, _ARGS     how that folder is read; OmegaConf resolvers go in the arguments
#   SESSION_STORE_CLASS, _ARGS     where a session leaves its records
#   DATA_CATALOG_CLASS             your own kind of catalog
