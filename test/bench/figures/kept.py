"""Runs, while many closed ones are kept, and many wait on timers."""

from measuring import Figure
from .common import purge

REPEATED = False
FIGURES = {
    'closed': Figure('three-step runs per second, closed runs kept: {count:,}', '/s', [('ratio', '>= 0.95')], 'nothing kept'),
    'timers': Figure('the same, and as many waiting on timers', '/s', [('ratio', '>= 0.95')], 'nothing kept'),
}
ROUNDS = 3


def rates(server):
    return [server.run_rate(server.three) for _ in range(ROUNDS)]


def fill(server, count, statement):
    for first in range(1, count + 1, 10000):
        server.do(statement, first, min(first + 9999, count))
    server.do('VACUUM ANALYZE')
    server.do('CHECKPOINT')


def measure(server):
    count = 1000000 if server.long else 50000
    for figure in FIGURES.values():
        figure.title = figure.title.format(count=count)
    server.configure()
    purge(server)
    server.do('VACUUM ANALYZE')
    server.do('CHECKPOINT')
    empty = rates(server)
    fill(server, count, "SELECT count(expense_flow.run_workflow('bench_three')) FROM generate_series(%s, %s)")
    for rate, base in zip(rates(server), empty):
        FIGURES['closed'].record(rate, base)
    fill(server, count, "SELECT count(expense_flow.start_workflow('bench_three', start_delay => '1 day')) FROM generate_series(%s, %s)")
    for rate, base in zip(rates(server), empty):
        FIGURES['timers'].record(rate, base)
