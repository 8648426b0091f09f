"""Campaigns of kill -9: as many nodes as it takes, a row each, as a table for tests/campaigns/kill.md."""
import contextlib
import sys


def kills(columns, wanted, kills_a_node, seed, one_node):
    """`one_node(kills, name)` returns its figures in the order of `columns`; what it prints goes to standard error."""
    total, done = {}, 0
    print("| seed | kills | %s |\n|%s" % (" | ".join(columns), "---|" * (2 + len(columns))), flush=True)
    while done < wanted:
        part = min(kills_a_node, wanted - done)
        name = "%s.%d" % (seed, done // kills_a_node)
        with contextlib.redirect_stdout(sys.stderr):
            figures = one_node(part, name)
        print("| %s | %d | %s |" % (name, part, " | ".join(str(value) for value in figures.values())), flush=True)
        done += part
        for key, value in figures.items():
            total[key] = total.get(key, 0) + value
    print("| all | %d | %s |" % (done, " | ".join(str(value) for value in total.values())))
