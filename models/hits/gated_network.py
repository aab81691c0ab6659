"""Graphs of wide windows and a filter, a gated network of six rounds, multicut, learned merging.

A residual interaction network whose messages pass gates, on the graphs and in the chain of
`_edge_networks`.
"""

from __future__ import annotations

from functools import partial

from physbench.models import Model
from physbench.models.hits import _edge_networks as networks
from physbench.models.hits._gated import GatedNetwork

MODEL = Model(
    tasks=("tracking",),
    reference=networks.CHAIN,
    fit=networks.fits(GatedNetwork),
    predict=networks.predict,
    presets=networks.PRESETS,
    quick=networks.QUICK,
    save=networks.save,
    load=partial(networks.load, GatedNetwork),
    parameters=networks.parameters,
    ablations=networks.ablations,
)
