"""The types of events by the name that they had before the wings."""

from physbench.datasets.hits import *  # noqa: F403
