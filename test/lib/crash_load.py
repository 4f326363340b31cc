#!/usr/bin/python3
"""Clients of the tests with crashes: crash_load.py start PREFIX SEED PAUSE FILE | consume FILE

start: start runs of all kinds (crash_workload.sql) until SIGTERM, then finish the signals that are due and end.  FILE gets
a line for each start whose commit was confirmed.

consume: read the feed of the captured table until SIGTERM.  FILE holds the last value of each row, and how many
changes were read; or, beginning with WRONG, what was not as it should be.

The database is found through the usual variables.  Connections may break at any time.
"""

import json
import os
import random
import signal
import sys
import time

import psycopg2

KINDS = ["hop"] * 4 + ["fan"] * 2 + ["outside", "listen", "nap", "family", "saga", "spending", "spending", "money_transfer", "money_transfer"]

stopped = False


def stop(*_):
    global stopped
    stopped = True


class Server:
    """A connection that is made anew when it breaks."""

    connection = None

    def execute(self, statements):
        """One transaction; the rows of its last statement.  Raises psycopg2.Error, after which nothing is known."""
        try:
            if self.connection is None:
                self.connection = psycopg2.connect("")
            with self.connection.cursor() as cursor:
                for text, arguments in statements:
                    cursor.execute(text, arguments)
                rows = cursor.fetchall()
            self.connection.commit()
            return rows
        except psycopg2.Error as error:
            if error.pgcode is None or error.pgcode[:2] in ("57", "08"):
                if self.connection is not None:
                    self.connection.close()
                self.connection = None
                time.sleep(0.05)
            else:
                self.connection.rollback()
            raise


def start(prefix, seed, pause, path):
    chance = random.Random(seed)
    server = Server()
    number = 0
    signals = []  # (workflow_id, which of its two)

    with open(path, "w") as accepted:
        while signals or not stopped:
            if not stopped:
                number += 1
                kind = chance.choice(KINDS)
                workflow_id = f"{prefix}-{kind}-{number}"
                if kind == "listen":
                    signals += [(workflow_id, 1), (workflow_id, 2)]
                try:
                    server.execute([("SELECT ask(%s, %s, %s)", (kind, workflow_id, number))])
                    print(workflow_id, file=accepted, flush=True)
                except psycopg2.Error as error:
                    if error.pgcode is not None and error.pgcode[:2] not in ("57", "40", "08"):
                        raise
            if signals and (stopped or chance.random() < 0.5):
                workflow_id, which = signals[0]
                try:
                    server.execute([("SELECT expense_flow.signal_workflow(%s, 'go', to_jsonb(%s), request_id => %s)", (workflow_id, which, f"go {which}"))])
                    signals.pop(0)
                except psycopg2.Error as error:
                    # it was not started, or has ended: then this signal has come
                    if error.pgcode in ("EF002", "EF006"):
                        signals.pop(0)
                    elif error.pgcode is not None and error.pgcode[:2] not in ("57", "40", "08"):
                        raise
            time.sleep(chance.random() * pause * (0.1 if stopped else 1))


def consume(path):
    server = Server()
    cursor = None
    cursors = set()
    values = {}
    count = 0

    def tell(what):
        with open(path + ".new", "w") as file:
            file.write(what)
        os.rename(path + ".new", path)

    while not stopped:
        try:
            rows = server.execute([("SELECT cursor, (key ->> 'id')::int, (old ->> 'v')::bigint, (new ->> 'v')::bigint"
                                    " FROM expense_flow.read_changes('ledger', %s, 200)", (cursor,))])
            for cursor, key, old, new in rows:
                if old != values.get(key) or cursor in cursors:
                    tell(f"WRONG: row {key} changes from {old} to {new} after {values.get(key)}, at {cursor}")
                    return
                values[key] = new
                cursors.add(cursor)
                count += 1
            if rows:
                tell(json.dumps({"values": {str(key): values[key] for key in sorted(values)}, "count": count}))
                server.execute([("SELECT expense_flow.acknowledge_changes('ledger', 'harness', %s)", (cursor,))])
            else:
                time.sleep(0.02)
        except psycopg2.Error as error:
            if error.pgcode is not None and error.pgcode[:2] not in ("57", "40", "08"):
                tell(f"WRONG: {error}")
                return


signal.signal(signal.SIGTERM, stop)
if sys.argv[1] == "start":
    start(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5])
else:
    consume(sys.argv[2])
