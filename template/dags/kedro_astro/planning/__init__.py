"""Structure and settings made into blueprints, and what `check` finds. Pure functions."""
