"""Steps where each flush takes 1 ms longer (commit_delay), against pgbench under the same."""

from measuring import Figure
from .common import step_rate

REPEATED = True
FIGURES = {
    'steps': Figure('steps per second, 4 workers, each flush made 1 ms slower', '/s', [('ratio', '>= 2.5')],
                    'pgbench, 4 clients, one statement, under the same'),
}


def measure(server):
    server.configure(4, commit_delay=1000, commit_siblings=0)
    plain = server.tps(server.one_statement, 4)
    FIGURES['steps'].record(step_rate(server, int(500 * server.seconds)), plain)
    server.configure()
