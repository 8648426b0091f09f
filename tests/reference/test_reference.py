"""The reference evaluator: does it count as a hand does, does the engine agree with it, and would it be seen if not?"""
import os
import re
import subprocess

from tests.harness.base import check
from tests.reference import mutants

PLAIN_ONLY = "the programs of the mutants are built without sanitizers"
SCENARIOS = 700  # in each of two processes: more than a million readings in all


def test_cases_counted_by_hand():
    result = subprocess.run([os.path.join(mutants.BUILD, "agree"), "--cases"], capture_output=True, text=True)
    check(result.returncode == 0, "cases: " + result.stdout[-3000:])


def test_the_engine_agrees_on_a_million_readings():
    children = [subprocess.Popen([os.path.join(mutants.BUILD, "agree"), "--seed", str(seed), "--count", str(SCENARIOS)],
                                 stdout=subprocess.PIPE, text=True) for seed in (30000, 40000)]
    readings = released = 0
    for child in children:
        output = child.communicate()[0]
        print(output.splitlines()[-1])
        check(child.returncode == 0, "a difference: " + output[-6000:])
        readings += int(re.findall(r"readings (\d+), episodes", output)[-1])
        released += int(re.findall(r"released (\d+);", output)[-1])
    check(readings >= 1000000, "%d readings are too few" % readings)
    check(released >= 20000, "%d that came by way of the quarantine are too few" % released)


def test_ids_are_those_of_the_beginnings():
    result = subprocess.run([os.path.join(mutants.BUILD, "agree"), "--calm", "--seed", "1", "--count", "2000"],
                            capture_output=True, text=True)
    print(result.stdout.splitlines()[-1])
    check(result.returncode == 0, "ids: " + result.stdout[-3000:])


def test_mutants_of_the_engine_are_caught():
    lines, good = mutants.run(list(range(len(mutants.MUTANTS))))
    print(lines[-1])
    check(good, "\n".join(line for line in lines if not line.startswith("caught")))
