"""Java programs that tests run against, fetched by Debian's maven as tests/<name>/pom.xml pins them."""
import glob
import hashlib
import os
import subprocess
import time

from tests.harness import base


def library(name):
    return os.path.join(base.ROOT, "build", name, "lib")


def fetch(name, what):
    """Brings the pinned jars into build/<name>/lib, once for each version of the pom."""
    pom = os.path.join(base.ROOT, "tests", name, "pom.xml")
    with open(pom, "rb") as file:
        wanted = hashlib.sha256(file.read()).hexdigest()
    directory = os.path.join(base.ROOT, "build", name)
    stamp = os.path.join(directory, "fetched")
    if os.path.exists(stamp) and open(stamp).read() == wanted and glob.glob(library(name) + "/*.jar"):
        return
    os.makedirs(library(name), exist_ok=True)
    for old in glob.glob(library(name) + "/*.jar"):
        os.remove(old)
    command = ["mvn", "-q", "-B", "-f", pom, "-Dmaven.repo.local=" + os.path.join(directory, "repository"),
               "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=" + library(name)]
    for attempt in range(3):
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        except FileNotFoundError:
            raise base.Unavailable("maven is not installed: tests/deps.sh")
        if done.returncode == 0:
            break
        time.sleep(2 + 5 * attempt)
    else:
        raise base.Unavailable("%s could not be fetched: %s" % (what, done.stdout.decode(errors="replace")[-800:]))
    with open(stamp, "w") as file:
        file.write(wanted)
