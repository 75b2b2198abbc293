"""The shape of the code: how long functions and files are, how deep they nest, how much they are given.

Prints the distribution, then every place beyond a limit; exit 1 if there is any. Relies on clang-format's layout:
a function's braces stand in column 0, a statement is indented by 4 for each level.
"""
import os
import re
import sys

FUNCTION_LINES_MAX = 100
FUNCTION_LINES_LONG = 60
FILE_LINES_MAX = 600
NESTING_MAX = 4
PARAMETERS_MAX = 6
SKIPPED = {"build", "node_modules", ".git"}
# A callback that libmicrohttpd or OpenSSL calls has the parameters that they give it.
FOREIGN_CALLBACKS = ("struct MHD_Connection *", "BIO *")
CONTROL = re.compile(r"( +)(?:\} )?(?:if|else|for|while|do|switch)\b")


def files(*suffixes):
    """Paths of our files with one of the suffixes."""
    for folder, folders, names in os.walk("."):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        for name in sorted(names):
            if name.endswith(suffixes):
                yield os.path.relpath(os.path.join(folder, name), ".")


def signature(lines, brace):
    """(first line, text) of the definition whose body opens at line `brace`."""
    first = brace
    while first > 0 and lines[first - 1].strip() and not lines[first - 1].rstrip().endswith((";", "}", "*/")) \
            and not lines[first - 1].startswith("#"):
        first -= 1
    return first, " ".join(line.strip() for line in lines[first:brace])


def functions(lines):
    """(name, first line, length, nesting, parameters) of every function of a C file."""
    for brace, line in enumerate(lines):
        if line.rstrip() != "{":
            continue
        first, text = signature(lines, brace)
        named = re.search(r"(\w+)\s*\((.*)\)[^)]*$", text)
        if not named:
            continue
        end = next((i for i in range(brace, len(lines)) if lines[i].startswith("}")), len(lines) - 1)
        depths = [len(found.group(1)) // 4 for found in map(CONTROL.match, lines[brace:end]) if found]
        inside = text[text.index("(", named.start(1)) + 1:text.rindex(")")]
        parameters = 0 if any(type in inside for type in FOREIGN_CALLBACKS) else count_parameters(inside)
        yield named.group(1), first + 1, end - first + 1, max(depths, default=0), parameters


def count_parameters(inside):
    """Commas at the top level, plus one."""
    depth, count = 0, 0 if inside.strip() in ("", "void") else 1
    for char in inside:
        depth += (char == "(") - (char == ")")
        count += char == "," and depth == 0
    return count


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0


def check_functions(path, lines, lengths):
    """What is wrong with a C file's functions; adds their lengths to `lengths`."""
    for name, line, length, nesting, parameters in functions(lines):
        lengths.append((length, f"{path}:{line} {name}"))
        if length > FUNCTION_LINES_MAX:
            yield f"{path}:{line}: {name} has {length} lines, at most {FUNCTION_LINES_MAX} are allowed"
        if nesting > NESTING_MAX:
            yield f"{path}:{line}: {name} nests {nesting} deep, at most {NESTING_MAX} is allowed"
        if parameters > PARAMETERS_MAX:
            yield f"{path}:{line}: {name} takes {parameters} parameters, at most {PARAMETERS_MAX} are allowed"


def main():
    wrong, lengths, file_lengths = [], [], []
    for path in files(".c", ".h", ".py", ".sh", ".ts", ".tsx", ".mjs", ".css"):
        with open(path, encoding="utf-8") as source:
            lines = source.read().split("\n")
        file_lengths.append(len(lines))
        if len(lines) > FILE_LINES_MAX:
            wrong.append(f"{path}: {len(lines)} lines, at most {FILE_LINES_MAX} are allowed")
        if path.endswith((".c", ".h")):
            wrong += check_functions(path, lines, lengths)
    lengths.sort(reverse=True)
    counts = sorted(length for length, _ in lengths)
    print(f"{len(counts)} C functions: median {percentile(counts, 0.5)} lines, p90 {percentile(counts, 0.9)}, "
          f"p99 {percentile(counts, 0.99)}, longest {counts[-1] if counts else 0}; "
          f"{sum(c > FUNCTION_LINES_LONG for c in counts)} over {FUNCTION_LINES_LONG}; longest file {max(file_lengths)}")
    for length, place in lengths:
        if length > FUNCTION_LINES_LONG:
            print(f"  long: {place} ({length} lines)")
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    sys.exit(main())
