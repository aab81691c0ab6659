"""The types of tracks by the name that they had before the wings."""

from physbench.datasets.tracks import *  # noqa: F403
