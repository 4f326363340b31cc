#!/usr/bin/python3
"""A worker for external activities: example_worker.py QUEUE NAME [SECONDS]

Takes tasks from a queue and doubles the number that is their input.  The database is found through the
usual variables (PGHOST and so on).  A task that was not finished, because the worker died, times out and
comes to another worker.  Ends when no task has come for SECONDS (default: never).
"""

import json
import sys
import time

import psycopg2

queue, name = sys.argv[1:3]
patience = float(sys.argv[3]) if len(sys.argv) > 3 else float("inf")
connection = psycopg2.connect("")
connection.autocommit = True
cursor = connection.cursor()
last = time.monotonic()

while time.monotonic() - last < patience:
    cursor.execute(
        "SELECT token, input FROM expense_flow.poll_activity(%s, %s, max_tasks => 5, wait => '2 s')", (queue, name)
    )
    for token, number in cursor.fetchall():
        last = time.monotonic()
        try:
            if isinstance(number, (int, float)):
                cursor.execute("SELECT expense_flow.complete_activity(%s, %s)", (token, json.dumps(2 * number)))
            else:
                cursor.execute("SELECT expense_flow.fail_activity(%s, 'NotANumber', non_retryable => true)", (token,))
        except psycopg2.Error as error:
            if error.pgcode != "EF011":  # it has timed out meanwhile
                raise
