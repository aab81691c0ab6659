"""The types of jets by the name that they had before the wings."""

from physbench.datasets.jets import *  # noqa: F403
