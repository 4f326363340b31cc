"""The figures, in the order of the table.

A module has FIGURES (rows of the table by key), measure(server), which records one sample of each, and
  REPEATED    True: one of the figures that take turns, as often as there are repeats; False: measured once
  set_up      what measure needs that is not there yet (optional)
"""

from . import (steps, runs, latency, processor, synchronous, parallel, map_items, spending, capture, slow_flush, feed,
               idle_clients, kept, old_snapshot, memory, purge, restart)

MODULES = [steps, runs, latency, processor, synchronous, parallel, map_items, spending, capture, slow_flush, feed,
           idle_clients, kept, old_snapshot, memory, purge, restart]
