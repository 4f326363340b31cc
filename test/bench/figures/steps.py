"""Durable steps of long runs, against transactions that make the same row changes."""

from measuring import Figure
from .common import step_rate

REPEATED = True
BASELINE = 'pgbench, as many clients, one statement that updates one row and inserts one'
FIGURES = {
    4: Figure('steps per second in runs of 20, 4 workers', '/s', [('ratio', '>= 2')], BASELINE),
    1: Figure('the same, 1 worker', '/s', [], BASELINE),
    'budget': Figure('the same, 4 workers, transaction_budget = 2ms', '/s', [], BASELINE),
}


def measure(server):
    for key, workers, budget in ((4, 4, '0'), (1, 1, '0'), ('budget', 4, "'2ms'")):
        server.configure(workers, expense_flow__transaction_budget=budget)
        plain = server.tps(server.one_statement, workers)
        FIGURES[key].record(step_rate(server, int(1000 * server.seconds)), plain)
