"""The memory of a worker after many steps."""

from measuring import Figure, private_memory
from .common import step_rate

REPEATED = False
FIGURES = {
    'worker': Figure('private memory that a worker gains in {steps:,} steps', 'kB', [('value', '<= 1024')]),
}
PART = 2000                         # runs


def measure(server):
    runs = 50000 if server.long else 5000
    FIGURES['worker'].title = FIGURES['worker'].title.format(steps=20 * runs)
    server.configure(1)
    step_rate(server, PART)         # its caches are filled
    pid, = server.worker_pids()
    before = private_memory(pid)
    for _ in range(0, runs, PART):
        step_rate(server, PART)
    FIGURES['worker'].record((private_memory(pid) - before) / 1024)
