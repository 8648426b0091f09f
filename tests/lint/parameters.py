#!/usr/bin/python3
"""Parameters: config/PARAMETERS.md says what the rows of config/parameters.def, codes.def and units.def hold.

`tests/lint/parameters.py --write` writes the tables of config/PARAMETERS.md anew.
"""
import fractions
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
from tests.harness import tree  # noqa: E402

PAGE = "config/PARAMETERS.md"
BEGIN, END = "<!-- tables: tests/lint/parameters.py --write -->", "<!-- end of tables -->"
PARAMETER_COLUMNS = "id name loinc unit possible_min possible_max expected_min expected_max class live_within en fr".split()
SYSTEMS = {"LOINC": "", "MDC": "mdc:", "REFID": "", "TAASIP": "taasip:", "NCIT": "NCIt ", "SNOMED": "SNOMED CT "}
WHAT = "| name | what | canonical unit | possible | expected | class | live within |\n|---|---|---|---|---|---|---|\n"
HOW = "| name | codes | units beside the canonical one |\n|---|---|---|\n"
NEVER = "| code | what it is |\n|---|---|\n"


def rows(path, macro):
    """The arguments of each row of the macro, texts without their quotes, and the comment behind it."""
    found = []
    for line in tree.read(path).split("\n"):
        match = re.match(r"(%s)\((.*)\)\s*(?:/\* (.*) \*/)?$" % macro, line)
        if match:
            values = re.findall(r'"((?:[^"\\]|\\.)*)"|([^\s,]+)', match.group(2))
            found.append((match.group(1), [text or bare for text, bare in values], match.group(3)))
    return found


def parameters():
    found = []
    for macro, values, _ in rows("config/parameters.def", "PARAMETER|PARAMETER_WITH_SESSIONS"):
        row = dict(zip(PARAMETER_COLUMNS, values))
        row["has_sessions"] = macro == "PARAMETER_WITH_SESSIONS"
        found.append(row)
    return found


def codes():
    """Of each parameter; the code that events and tables show comes first by its row."""
    found = {}
    for _, (system, code, parameter), _ in rows("config/codes.def", "CODE"):
        found.setdefault(parameter, []).append(SYSTEMS[system] + code)
    return found


def conversion(multiply, add, divide):
    factor = fractions.Fraction(int(multiply), int(divide))
    plus = fractions.Fraction(int(add), int(divide))
    if factor >= 1 or (factor.numerator != 1 and (10 ** 9 * factor).denominator == 1):
        text = "× %s" % exact(factor) if factor != 1 else ""
    else:
        text = "÷ %s" % exact(1 / factor)
    if plus and factor != 1 and int(add) < 0:  # (x - 32) / 1.8 rather than x / 1.8 - 17.7...
        return "(x − %s) %s" % (exact(fractions.Fraction(-int(add), int(multiply))), text)
    if plus:
        return ("x %s %s %s" % (text, "−" if plus < 0 else "+", exact(abs(plus)))).replace("  ", " ")
    return text


def exact(number):
    """A fraction as the decimal that it is."""
    text = "%.10f" % number
    if fractions.Fraction(text) != number:
        raise ValueError("%s has no short decimal" % number)
    return text.rstrip("0").rstrip(".")


def units():
    """Of each parameter: (text, conversion)."""
    families, members = {}, {}
    for macro, values, _ in rows("config/units.def", "MEMBER|UNIT"):
        if macro == "MEMBER":
            members[values[1]] = values[0]
        else:
            family, system, text, multiply, add, divide = values
            families.setdefault(family, []).append((("mdc:" if system == "MDC" else "") + text,
                                                    conversion(multiply, add, divide)))
    return {parameter: families[family] for parameter, family in members.items()}


def listed(texts):
    return ", ".join("`%s`" % text for text in texts)


def band(row, kind):
    return "%s to %s" % tuple(row["%s_%s" % (kind, end)].replace("-", "−") for end in ("min", "max"))


def what(row):
    name = "`%s`%s" % (row["name"], " ◦" if row["has_sessions"] else "")
    return "| %s | %s<br>*%s* | `%s` | %s | %s | %s | %s |\n" % (
        name, row["en"], row["fr"], row["unit"], band(row, "possible"), band(row, "expected"), row["class"].lower(),
        row["live_within"])


def how(row, all_codes, all_units):
    others = ["`%s`%s" % (text, " " + converted if converted else "")
              for text, converted in all_units[row["id"]] if text != row["unit"]]
    return "| `%s` | %s | %s |\n" % (row["name"], listed(all_codes.get(row["id"], [])) or "its name alone",
                                   ", ".join(others) or "–")


def tables():
    found, all_codes, all_units = parameters(), codes(), units()
    never = ["| `%s%s` | %s |\n" % (SYSTEMS[system], code, comment or "the same")
             for _, (system, code), comment in rows("config/codes.def", "NEVER_PATIENT")]
    return "%s\n\n## What can be measured\n\n%s%s\n## Codes and units\n\n%s%s\n## Never a patient's value\n\n%s%s\n%s" % (
        BEGIN, WHAT, "".join(map(what, found)), HOW, "".join(how(row, all_codes, all_units) for row in found), NEVER,
        "".join(never), END), found, all_codes, all_units


def check_rows(found, all_codes, all_units):
    """What the compiler does not see."""
    ids = {row["id"] for row in found}
    faults = ["config/parameters.def: %s has no name of its own in French and English" % row["name"]
              for row in found if not row["en"] or not row["fr"]]
    faults += ["config/parameters.def: %s shows the code %s, which no row of codes.def has" % (row["name"], row["loinc"])
               for row in found if row["loinc"] not in ["NULL"] + sum(all_codes.values(), [])]
    faults += ["config/units.def: %s has no unit" % row["name"] for row in found if row["id"] not in all_units]
    faults += ["config/codes.def: %s is no parameter" % name for name in sorted(set(all_codes) - ids)]
    return faults


def main():
    made, *found = tables()
    page = tree.read(PAGE)
    expected = re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda match: made, page, flags=re.S)
    if "--write" in sys.argv:
        with open(os.path.join(tree.ROOT, PAGE), "w", encoding="utf-8") as file:
            file.write(expected)
        return
    faults = check_rows(*found)
    if expected != page or made not in page:
        faults.append(PAGE + ": not what the tables hold: tests/lint/parameters.py --write")
    tree.finish("parameters", faults, len(found[0]))


if __name__ == "__main__":
    main()
