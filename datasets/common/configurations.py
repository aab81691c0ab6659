"""The types of configurations by the name that they had before the wings."""

from physbench.datasets.liquids import *  # noqa: F403
