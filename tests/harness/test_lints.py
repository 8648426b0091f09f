"""The lints find what they are for: each planted fault is named, a clean tree passes."""
import os
import re
import shutil
import subprocess
import sys

from tests.harness import base

GOOD = {
    "daemon/base/good.h": "#ifndef GOOD_H\n#define GOOD_H\n\nint good(void);\n\n#endif\n",
    "daemon/base/good.c": '#include "daemon/base/good.h"\n\nint good(void)\n{\n    return 1;\n}\n',
    "daemon/base/ring.c": "int ring;\n", "daemon/base/decimal.c": "int decimal;\n",
    "daemon/shard.c": '#include "daemon/base/good.h"\n\nint shard_new(void)\n{\n    return good();\n}\n',
    "storage/journal_writer.c": "int writer;\n",
    "daemon/admin/metrics.c": None,
    "config/options.def": 'OPTION(node, name, TEXT, "a", "", no, "name")\n',
    "config/vigie.conf.example": "[node]\nname = a\n",
    "config/parameters.def": 'PARAMETER(A, "a")\n',
    "README.md": "`make check` and `[node] name`\n",
    "Makefile": "check:\n\ttrue\n",
    "tests/tests.mk": "x:\n\ttrue\n",
}

# (lint, file, text, what it must say)
PLANTED = [
    ("layers.py", "daemon/base/bad.c", '#include "storage/x.h"\n', "not there"),
    ("layers.py", "daemon/base/bad.c", '#include "daemon/registry/y.h"\n', "may include from"),
    ("layers.py", "daemon/other/bad.c", "int a;\n", "not in the table"),
    ("layers.py", "daemon/base/a.h", '#include "daemon/base/a.h"\n', "include cycle"),
    ("headers.sh", "daemon/base/bad.h", "struct a;\nsize_t b(void);\n", "does not compile alone"),
    ("headers.sh", "daemon/base/bad.h", "struct a {\n    int b;\n};\n", "does not compile alone"),
    ("shape.py", "daemon/base/bad.c", "int a(void)\n{\n" + "    ;\n" * 69 + "}\n", "function of 71 lines"),
    ("shape.py", "daemon/base/bad.h", "\n" * 121, "header of 121 lines"),
    ("shape.py", "daemon/base/bad.c", "int a" + "b" * 140 + ";\n", "columns"),
    ("banned.py", "daemon/base/bad.c", "#include <assert.h>\n", "assert.h"),
    ("banned.py", "daemon/base/bad.c", "void a(char *b)\n{\n    strcpy(b, b);\n}\n", "strcpy"),
    ("banned.py", "daemon/base/bad.c", "void a(void)\n{\n    clock_gettime(0, 0);\n}\n", "clock_gettime"),
    ("banned.py", "daemon/base/bad.c", "pthread_mutex_t a = {pthread_mutex_init()};\n", "mutex"),
    ("banned.py", "daemon/shard.c", "void a(void)\n{\n    malloc(1);\n}\n", "malloc"),
    ("banned.py", "daemon/shard.c", "void a(void)\n{\n    snprintf(0, 0, \"\");\n}\n", "snprintf"),
    ("banned.py", "daemon/base/bad.c", "/* TO" "DO */\n", "debt marker"),
    ("banned.py", "daemon/base/bad.c", "int a; \n", "trailing blanks"),
    ("banned.py", "daemon/base/bad.c", "int a;", "no newline"),
    ("banned.py", "daemon/base/bad.c", '"/wo' 'rk/x"\n', "absolute path"),
    ("docs.py", "config/vigie.conf.example", "[node]\ncolour = a\n", "colour"),
    ("docs.py", "README.md", "`make nothing`\n", "make nothing"),
    ("docs.py", "README.md", "`[node] colour`\n", "colour"),
    ("docs.py", "daemon/admin/metrics.c", "int a;\n", "metric vigie_ack_seconds"),
    ("docs.py", "config/parameters.def", "/* empty */\n", "no row"),
]
# What looks like a fault and is none.
HARMLESS = [
    ("banned.py", "daemon/base/bad.c", "/* strcpy(a, b) */\nconst char *a = \"malloc(time(0))\";\n"),
    ("banned.py", "daemon/shard.c", "void shard_new(void)\n{\n    calloc(1, 1);\n}\n"),
    ("banned.py", "daemon/base/bad.c", "void a(void)\n{\n    b.time(0);\n    engine_time(0);\n}\n"),
    ("shape.py", "daemon/base/bad.c", "int a(void)\n{\n" + "    ;\n" * 68 + "}\n"),
]


def tree(changes):
    root = base.fresh_directory("/tmp/vigie-lint-%d" % os.getpid())
    metrics = "\n".join(re.findall(r"vigie_\w+", open(os.path.join(base.ROOT, "tests/lint/docs.py")).read()))
    for path, text in dict(GOOD, **changes).items():
        text = "/* %s */\n" % metrics if text is None else text
        os.makedirs(os.path.dirname(os.path.join(root, path)) or root, exist_ok=True)
        with open(os.path.join(root, path), "w") as file:
            file.write(text)
    return root


def lint(name, changes):
    root = tree(changes)
    try:
        interpreter = [sys.executable] if name.endswith(".py") else ["sh"]
        done = subprocess.run(interpreter + [os.path.join(base.ROOT, "tests", "lint", name)], cwd=base.ROOT,
                              env=dict(os.environ, LINT_ROOT=root), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    finally:
        shutil.rmtree(root)
    return done.returncode, done.stdout.decode()


def test_a_clean_tree_passes():
    for name in ("layers.py", "headers.sh", "shape.py", "banned.py", "docs.py"):
        base.equal(lint(name, {})[0], 0, name, lint(name, {})[1])


def test_planted_faults_are_found():
    for name, path, text, words in PLANTED:
        changes = {path: text, "daemon/registry/y.h": ""} if "y.h" in text else {path: text}
        status, output = lint(name, changes)
        base.equal(status, 1, name, path, text, output)
        base.check(words in output, words, "in", output)


def test_harmless_text_passes():
    for name, path, text in HARMLESS:
        status, output = lint(name, {path: text})
        base.equal(status, 0, name, text, output)
