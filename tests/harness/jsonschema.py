"""The part of JSON Schema 2020-12 that our schema uses; a word that is not known here is an error, never ignored."""
import re

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "null": type(None)}
SILENT = {"$schema", "$id", "$defs", "title", "description", "then"}


def is_type(value, name):
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def same(value, other):
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def errors(value, schema, root=None, path="$"):
    """A list of what is wrong, as text."""
    root = schema if root is None else root
    found = []

    def below(part, part_schema, where):
        return errors(part, part_schema, root, where)

    for word, argument in schema.items():
        if word in SILENT:
            continue
        if word == "$ref":
            target = root
            for step in argument[2:].split("/"):
                target = target[step]
            found += below(value, target, path)
        elif word == "type":
            names = [argument] if isinstance(argument, str) else argument
            if not any(is_type(value, name) for name in names):
                found.append("%s: %r is not of type %s" % (path, value, argument))
        elif word == "enum":
            if not any(same(value, allowed) for allowed in argument):
                found.append("%s: %r is none of %s" % (path, value, argument))
        elif word == "const":
            if not same(value, argument):
                found.append("%s: %r is not %r" % (path, value, argument))
        elif word == "pattern":
            if isinstance(value, str) and not re.search(argument, value):
                found.append("%s: %r does not match %s" % (path, value, argument))
        elif word == "minimum":
            if is_type(value, "number") and value < argument:
                found.append("%s: %r is below %r" % (path, value, argument))
        elif word == "minLength":
            if isinstance(value, str) and len(value) < argument:
                found.append("%s: shorter than %d" % (path, argument))
        elif word in ("minItems", "maxItems"):
            if isinstance(value, list) and (len(value) < argument if word == "minItems" else len(value) > argument):
                found.append("%s: %d items, %s %d" % (path, len(value), word, argument))
        elif word == "required":
            if isinstance(value, dict):
                found += ["%s: %s is missing" % (path, name) for name in argument if name not in value]
        elif word == "properties":
            if isinstance(value, dict):
                for name, part in argument.items():
                    if name in value:
                        found += below(value[name], part, "%s.%s" % (path, name))
        elif word == "items":
            if isinstance(value, list):
                for index, item in enumerate(value):
                    found += below(item, argument, "%s[%d]" % (path, index))
        elif word == "prefixItems":
            if isinstance(value, list):
                for index, part in enumerate(argument[:len(value)]):
                    found += below(value[index], part, "%s[%d]" % (path, index))
        elif word == "anyOf":
            if all(below(value, part, path) for part in argument):
                found.append("%s: %r matches none of the alternatives" % (path, value))
        elif word == "allOf":
            for part in argument:
                found += below(value, part, path)
        elif word == "if":
            if not below(value, argument, path):
                found += below(value, schema["then"], path)
        else:
            raise ValueError("%s: the word %s is not known to tests/harness/jsonschema.py" % (path, word))
    return found
