"""A Map over 10,000 items, each one SQL activity, against as many runs of that activity, started in one transaction."""

import json

from measuring import Figure
from .common import task_chain

REPEATED = True
ITEMS = 10000
FIGURES = {
    'rate': Figure('Map over 10,000 items, 2 workers', 'items/s', [('ratio', '>= 0.77')], 'a run for each'),
}


def set_up(server):
    task = json.loads(task_chain(1))
    server.do("SELECT expense_flow.create_workflow('bench_one', %s)", json.dumps(task))
    server.do("SELECT expense_flow.create_workflow('bench_map', %s)",
              json.dumps({'StartAt': 'M', 'States': {'M': {'Type': 'Map', 'ItemProcessor': task, 'End': True}}}))


def rate(server, statement):
    since = server.clock()
    server.do(statement, ITEMS)
    return ITEMS / server.end_of_runs(since)


def measure(server):
    server.configure(2)
    runs = rate(server, "SELECT count(expense_flow.start_workflow('bench_one')) FROM generate_series(1, %s)")
    items = rate(server, "SELECT expense_flow.start_workflow('bench_map', (SELECT jsonb_agg(i) FROM generate_series(1, %s) i))")
    FIGURES['rate'].record(items, runs)
